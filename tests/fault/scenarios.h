/* What fault_alloc.c runs: programs that use a part of the library and bear the failure of any
 * call.
 *
 * A scenario checks what holds whatever failed: results are codes the headers name, every task of a
 * group ran, was skipped or failed the group, and a wait returns 0 only if all ran. When nothing is
 * to fail (expect_success) it also checks that nothing did. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include <stdbool.h>

/* Set before a scenario runs: results other than success are wrong. */
extern bool expect_success;

void plain_group(void);
void many_tasks(void);
void limit_and_nested(void);
void paused_queue(void);
void copies(void);
void contexts(void);
void context_of_group(void);
void parked_tasks(void);
void rendezvous(void);
void errors_and_texts(void);
void timed_waits(void);
void selects(void);
void maps(void);
void locks(void);
void waitgroup_errors(void);
void one_call_for_many(void);
void lives(void);
void panics(void);
void handles(void);
void handshakes(void);
void blocking_calls(void);
void large_stacks(void);
void schedules(void);
void two_threads(void);

/* scenarios_policy.c */
void policies(void);
void task_options(void);
void retries(void);
void fronts(void);
/* scenarios_loops.c */
void loops(void);
void streams(void);
void results(void);
/* scenarios_io.c */
void signals(void);
void foreign_loop(void);
void descriptors(void);
/* scenarios_net.c */
void sockets(void);
/* scenarios_process.c */
void commands(void);

#endif
