/* Valid: the others are compared with it. */
#include "bad.h"

BAD_PLUGIN("good", 0, bad_create, bad_process, bad_finish, bad_save, bad_load);
