/* Knit: structured concurrency for C.
 *
 * Hand a group a set of functions that may fail; they run at the same time, the first failure
 * cancels the rest, and nothing outlives the group. No set-up call is needed: every function may
 * be called from a task and from any ordinary thread.
 *
 * This header is nothing but includes; include it, or the parts you use. */
#ifndef KNIT_H
#define KNIT_H

#include "knit/base.h"
#include "knit/ctx.h"
#include "knit/task.h"
#include "knit/blocking.h"
#include "knit/chan.h"
#include "knit/select.h"
#include "knit/syncmap.h"
#include "knit/sync.h"
#include "knit/waitgroup.h"
#include "knit/semaphore.h"
#include "knit/errgroup.h"
#include "knit/handle.h"
#include "knit/policy.h"
#include "knit/family.h"
#include "knit/foreach.h"
#include "knit/results.h"
#include "knit/stream.h"
#include "knit/singleflight.h"
#include "knit/retry.h"
#include "knit/schedgroup.h"
#include "knit/waterfall.h"
#include "knit/io.h"
#include "knit/net.h"
#include "knit/signal.h"
#include "knit/loop.h"
#include "knit/process.h"
#include "knit/runtime.h"

#endif
