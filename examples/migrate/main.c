/* migrate: see migrate.h for how it works, migrate --help for how it is used. */
#define _GNU_SOURCE
#include "migrate.h"

#include "../common/errors.h"
#include "../common/interrupt.h"
#include "../common/json.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_MOST = 1024 };

/* SQLite and libpq are written for the stacks of threads. */
enum { LIBRARY_STACK = 256 * 1024 };

static const char usage[] =
    "Usage: migrate [OPTION]... DIRECTORY [SHARD]...\n"
    "Apply the SQL migrations of DIRECTORY (NUMBER_NAME.sql, in the order of their numbers) to "
    "many\n"
    "databases at once. A shard is postgresql://..., or the file of an SQLite database.\n"
    "\n"
    "  -s, --shards=FILE    also the shards in FILE, one a line; - is standard input\n"
    "  -l, --limit=N        at most N at once (default: 8)\n"
    "  -w, --wait=SECONDS   wait so long for a connection, and for a lock that somebody else "
    "holds\n"
    "                       (default: 10)\n"
    "  -n, --dry-run        only say what is missing where\n"
    "  -k, --keep-going     a failure stops no other shard\n"
    "      --json[=FILE]    the report as JSON, to standard output or FILE\n"
    "  -q, --quiet          no progress, and no report but that of --json\n"
    "  -h, --help           this text\n"
    "\n"
    "A migration is applied in a transaction of its own, together with its row in the table\n"
    "schema_migrations; what has a row there is not applied again. So what failed or was stopped "
    "can\n"
    "be repaired and repeated, by several at the same time too. It is an error when a migration "
    "that\n"
    "is applied has changed, or is not in DIRECTORY. The first failure stops the rest: shards\n"
    "are then done, failed, stopped (before or in a migration, which is taken back) or untouched.\n"
    "\n"
    "Exit status: 0 nothing is missing, or it was a dry run; 1 something failed; 2 wrong usage;\n"
    "128 + number after SIGINT (130), SIGTERM (143) or SIGHUP (129).\n";

enum { OPTION_JSON = 256 };
enum { GO_ON = -1, WRONG_USAGE = 2 }; /* else: the exit status */

static int option_apply(struct settings *s, int c)
{
    bool fine = true;
    switch (c) {
    case 's': fine = strings_read("migrate", &s->shards, optarg); break;
    case 'l': fine = option_number("migrate", "--limit", optarg, 1, LIMIT_MOST, &s->limit); break;
    case 'w': fine = option_seconds("migrate", "--wait", optarg, &s->wait); break;
    case 'n': s->dry_run = true; break;
    case 'k': s->keep_going = true; break;
    case OPTION_JSON: s->json = optarg ? optarg : "-"; break;
    case 'q': s->quiet = true; break;
    case 'h': fputs(usage, stdout); return fflush(stdout) == 0 ? 0 : 1;
    default: fine = false;
    }
    return fine ? GO_ON : WRONG_USAGE;
}

static int settings_parse(struct settings *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"shards", required_argument, NULL, 's'},
        {"limit", required_argument, NULL, 'l'},
        {"wait", required_argument, NULL, 'w'},
        {"dry-run", no_argument, NULL, 'n'},
        {"keep-going", no_argument, NULL, 'k'},
        {"json", optional_argument, NULL, OPTION_JSON},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int end = GO_ON;
    for (int c; end == GO_ON && (c = getopt_long(argc, argv, "s:l:w:nkqh", options, NULL)) >= 0;)
        end = option_apply(s, c);
    if (end == GO_ON && optind < argc)
        s->directory = argv[optind++];
    for (int i = optind; end == GO_ON && i < argc; i++)
        end = strings_add(&s->shards, argv[i]) < 0 ? 1 : GO_ON;
    if (end == GO_ON && (!s->directory || s->shards.n == 0)) {
        fprintf(stderr, "migrate: no %s is given\n", s->directory ? "shard" : "directory");
        end = WRONG_USAGE;
    }
    if (end == WRONG_USAGE)
        fputs("Try 'migrate --help'.\n", stderr);
    return end;
}

static void shards_free(struct shard *shards, size_t n)
{
    for (size_t i = 0; shards && i < n; i++)
        shard_fini(&shards[i]);
    free(shards);
}

/* All shards, to their end; what the group's wait returned. *ret_signal: the signal that ended it,
 * or 0. */
static int shards_run(const struct settings *s, struct shard *shards, size_t n, int *ret_signal)
{
    knit_errgroup group;
    knit_errgroup_init(&group, &(knit_errgroup_options){
                                   .name = "migrate",
                                   .limit = s->limit,
                                   .flags = s->keep_going ? KNIT_ERRGROUP_KEEP_GOING : 0,
                                   .keep_errors = s->keep_going ? KEEP_ERRORS : 0,
                                   .stack = LIBRARY_STACK,
                               });
    int r = interrupt_watch(&group);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r == 0; i++)
        r = knit_errgroup_go(&group, shard_migrate, &shards[i]); /* waits for room */
    r = knit_errgroup_wait(&group);
    *ret_signal = interrupt_end();
    if (r < 0 && r != -EINTR)
        errors_print("migrate", &group, r, s->keep_going);
    return r;
}

static int shards_migrate(const struct settings *s, const struct plan *plan, struct shard *shards,
                          FILE *json)
{
    knit_time start = knit_now();
    int signal = 0;
    size_t n = s->shards.n;
    int r = shards_run(s, shards, n, &signal);
    struct summary summary = {s, plan, shards, n, knit_now() - start, r == 0};
    if (signal)
        fprintf(stderr, "migrate: interrupted: %s\n", strsignal(signal));
    if (!s->quiet && json != stdout)
        report_text(stdout, &summary);
    if (json)
        report_json(json, &summary);
    return r < 0 && signal ? 128 + signal : r < 0;
}

/* NULL after a message. */
static struct shard *shards_new(const struct settings *s, const struct plan *plan)
{
    struct shard *shards = calloc(s->shards.n, sizeof *shards);
    int r = shards ? 0 : -ENOMEM;
    for (size_t i = 0; i < s->shards.n && r == 0; i++)
        r = shard_init(&shards[i], s, plan, s->shards.at[i]);
    if (r == 0)
        return shards;
    fprintf(stderr, "migrate: %s\n", knit_strerror(r));
    shards_free(shards, s->shards.n);
    return NULL;
}

static int migrate_main(const struct settings *s)
{
    struct plan plan = {0};
    struct shard *shards = NULL;
    FILE *json = NULL;
    int status = 1;
    if (plan_read(&plan, s->directory) == 0 &&
        (!s->json || (json = json_open("migrate", s->json))) && (shards = shards_new(s, &plan)))
        status = shards_migrate(s, &plan, shards, json);

    if (json && json != stdout && json_close("migrate", s->json, json) < 0 && status == 0)
        status = 1;
    if (json_close("migrate", "standard output", stdout) < 0 && status == 0)
        status = 1;
    shards_free(shards, s->shards.n);
    plan_fini(&plan);
    return status;
}

int main(int argc, char **argv)
{
    struct settings settings = {.limit = 8, .wait = 10 * KNIT_SECOND};
    int end = settings_parse(&settings, argc, argv);
    if (end == GO_ON) {
        interrupt_block();
        end = migrate_main(&settings);
    }
    strings_fini(&settings.shards);
    return end;
}
