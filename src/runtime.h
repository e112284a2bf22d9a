/* The roof: composes the runtime at first use, takes it down at exit. */
#ifndef KNIT_RUNTIME_PRIVATE_H
#define KNIT_RUNTIME_PRIVATE_H

/* 0, or -ENOMEM. Cheap when started. */
int knit__runtime_start(void);

#endif
