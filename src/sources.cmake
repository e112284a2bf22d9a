# The library's sources, by floor. Paths are relative to src/.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(KNIT_CPU aarch64)
else()
  set(KNIT_CPU x86_64)
endif()

set(KNIT_SOURCES
  base/assert.c
  base/strerr.c
  plat/fiber.c
  plat/tls.c
  plat/${KNIT_CPU}/entry.S
  plat/linux/barrier.c
  plat/linux/clock.c
  plat/linux/cpu.c
  plat/linux/futex.c
  plat/linux/interrupt.c
  plat/linux/meter.c
  plat/linux/thread.c
  plat/linux/vm.c
  plat/linux/write.c
  core/bias.c
  core/inject.c
  core/lock.c
  core/ring.c
  core/stack.c
  core/timers.c
  sched/guest.c
  sched/handoff.c
  sched/idle.c
  sched/nudge.c
  sched/park.c
  sched/sched.c
  sched/scope.c
  sched/sites.c
  sched/steal.c
  sched/sysmon.c
  sched/timer.c
  sched/worker.c
  sync/blocking.c
  sync/chan.c
  sync/ctx.c
  sync/join.c
  sync/mapshard.c
  sync/select.c
  sync/sleep.c
  sync/syncmap.c
  sync/wait.c
  group/errgroup.c
  group/extra.c
  group/limit.c
  group/prepare.c
  group/record.c
  runtime.c
)
