/* wherry-ipc: channels from a shell inside a container. stdout is data, stderr is words; 0 ok, 1 failed, 2 usage. */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
    "Usage: wherry-ipc <command> [options]\n"
    "\n"
    "  list                  channels of this service\n"
    "  pub <channel>         publish each line of standard input\n"
    "      --file <path>       publish this file as one message instead\n"
    "      --type <number>     the message's type word (0)\n"
    "      --timeout <ms>      reliable channels: how long to wait for a slow subscriber (the channel's bound)\n"
    "  sub <channel>         print messages, a line each\n"
    "      --raw               the bytes only, with nothing between messages\n"
    "      --count <number>    end after so many messages\n"
    "      --timeout <ms>      end with 1 when none has come for so long\n"
    "  stat [<channel>]      what publishers and subscribers did and how far behind they are\n"
    "\n"
    "  --json                list, sub, stat: one JSON object a line\n"
    "  --dir <path>          where the channels are (WHERRY_IPC_DIR)\n"
    "  --service <name>      as which service (WHERRY_SERVICE)\n";

int usage_error(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("Cannot run wherry-ipc: ", stderr);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputs("\nTry wherry-ipc --help\n", stderr);
  return EXIT_USAGE;
}

int failed(const char *action, const char *object, int code) {
  fprintf(stderr, "Cannot %s \"%s\": %s", action, object, wipc_strerror(code));
  if (code == WIPC_ESYSTEM) fprintf(stderr, " (%s)", strerror(errno));
  fputc('\n', stderr);
  return EXIT_FAILED;
}

static bool number(const char *text, long long max, long long *out) {
  char *end = NULL;
  errno = 0;
  *out = strtoll(text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && *out >= 0 && *out <= max;
}

struct flag {
  const char *name, *commands; /* letters of the commands that know it: l p s t */
  enum { SWITCH, TEXT, NUMBER } kind;
  void *into;
  long long max;
};

static const struct flag *find_flag(const struct flag *flags, size_t count, const char *name, char command) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(flags[i].name, name) == 0 && strchr(flags[i].commands, command) != NULL) return &flags[i];
  return NULL;
}

/* 0, or EXIT_USAGE with the words printed. */
static int set_flag(const struct flag *flag, const char *value) {
  if (flag->kind == SWITCH) {
    *(bool *)flag->into = true;
    return 0;
  }
  if (value == NULL) return usage_error("%s has no value; give one after it", flag->name);
  if (flag->kind == TEXT)
    *(const char **)flag->into = value;
  else if (!number(value, flag->max, flag->into))
    return usage_error("%s is \"%s\"; give a number from 0 to %lld", flag->name, value, flag->max);
  return 0;
}

static int parse(int argc, char **argv, char command, struct options *o) {
  const struct flag flags[] = {
      {"--json", "lst", SWITCH, &o->json, 0},           {"--raw", "s", SWITCH, &o->raw, 0},
      {"--file", "p", TEXT, &o->file, 0},               {"--dir", "lpst", TEXT, &o->dir, 0},
      {"--service", "lpst", TEXT, &o->service, 0},      {"--type", "p", NUMBER, &o->type, UINT32_MAX},
      {"--timeout", "ps", NUMBER, &o->timeout_ms, INT32_MAX}, {"--count", "s", NUMBER, &o->count, INT64_MAX},
  };
  for (int i = 2; i < argc; i++) {
    if (strncmp(argv[i], "--", 2) != 0) {
      if (command == 'l' || o->channel != NULL) return usage_error("\"%s\" is one word too many", argv[i]);
      o->channel = argv[i];
      continue;
    }
    const struct flag *flag = find_flag(flags, sizeof flags / sizeof *flags, argv[i], command);
    if (flag == NULL) return usage_error("%s does not know %s", argv[1], argv[i]);
    int rc = set_flag(flag, flag->kind == SWITCH ? NULL : argv[++i < argc ? i : argc]);
    if (rc != 0) return rc;
  }
  if (o->json && o->raw) return usage_error("--json and --raw exclude each other");
  if ((command == 'p' || command == 's') && o->channel == NULL)
    return usage_error("%s needs a channel; wherry-ipc list shows them", argv[1]);
  return 0;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(const struct options *);
  } commands[] = {{"list", run_list}, {"pub", run_pub}, {"sub", run_sub}, {"stat", run_stat}};
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
    fputs(usage_text, stdout);
    return 0;
  }
  if (argc < 2) {
    fputs(usage_text, stderr);
    return EXIT_USAGE;
  }
  struct options options = {.timeout_ms = -1, .dir = getenv("WHERRY_IPC_DIR"), .service = getenv("WHERRY_SERVICE")};
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(commands[i].name, argv[1]) != 0) continue;
    char letter = strcmp(argv[1], "stat") == 0 ? 't' : argv[1][0];
    int rc = parse(argc, argv, letter, &options);
    if (rc != 0) return rc;
    if (options.dir == NULL || options.service == NULL)
      return usage_error("%s is not set; give %s", options.dir == NULL ? "WHERRY_IPC_DIR" : "WHERRY_SERVICE",
                         options.dir == NULL ? "--dir" : "--service");
    return commands[i].run(&options);
  }
  return usage_error("there is no command \"%s\"", argv[1]);
}
