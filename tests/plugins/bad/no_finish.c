/* Lacks a required function. */
#include "bad.h"

BAD_PLUGIN("bad", 0, bad_create, bad_process, NULL, NULL, NULL);
