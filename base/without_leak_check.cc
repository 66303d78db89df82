// For programs in a sandbox: LeakSanitizer starts a process at the end, which is not permitted there.
#ifdef __SANITIZE_ADDRESS__
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}
#endif
