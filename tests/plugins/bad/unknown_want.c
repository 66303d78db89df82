/* Wants a field that only a later ABI may have. */
#include "bad.h"

BAD_PLUGIN("bad", 1u << 30, bad_create, bad_process, bad_finish, NULL, NULL);
