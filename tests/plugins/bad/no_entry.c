/* A shared library that is not a plugin. */
int unroll_not_a_plugin(void);
int unroll_not_a_plugin(void) {
  return 1;
}
