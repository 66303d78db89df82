// Writes the tests' tiny checkpoint into a folder, for tests that are not in C++.
#include <cstdio>

#include "tests/client/fixture.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("write_tiny_model FOLDER\n", stderr);
    return 2;
  }
  unroll::test::write_tiny_model(argv[1]);
  return 0;
}
