/* Runs the cases of the C library: `cases <empty folder> [part of a name]`. One line each; the first failure aborts. */
#include "../fixture.h"

#include <string.h>

int main(int argc, char **argv) {
  CHECK(argc > 1);
  scratch = argv[1];
  install_host_handler();
  const struct test *groups[] = {publish_tests, reliable_tests, wait_tests, open_tests, hostile_tests};
  int ran = 0;
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    for (const struct test *test = groups[i]; test->name != NULL; test++) {
      if (argc > 2 && strstr(test->name, argv[2]) == NULL) continue;
      fprintf(stderr, "%s\n", test->name);
      test->run();
      ran++;
    }
  CHECK(ran > 0);
  printf("%d cases passed\n", ran);
  return 0;
}
