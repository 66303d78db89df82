/* A name with a capital letter and an underscore. */
#include "bad.h"

BAD_PLUGIN("Bad_name", 0, bad_create, bad_process, bad_finish, NULL, NULL);
