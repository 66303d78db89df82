// Empty: CMake precompiles the headers of unroll_test_precompiled with it.
