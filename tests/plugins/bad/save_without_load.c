#include "bad.h"

BAD_PLUGIN("bad", 0, bad_create, bad_process, bad_finish, bad_save, NULL);
