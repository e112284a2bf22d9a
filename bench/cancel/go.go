// cancel with Go: SIZE functions of an errgroup with a context wait for an hour or the context, one
// more fails. Microseconds from the failure to Wait's return; the median of five rounds.
package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

var errFailed = errors.New("failed")

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func cancelRound(n int) float64 {
	g, ctx := errgroup.WithContext(context.Background())
	var asleep int64
	var failedAt time.Time
	for i := 0; i < n; i++ {
		g.Go(func() error {
			atomic.AddInt64(&asleep, 1)
			return sleep(ctx, time.Hour)
		})
	}
	for atomic.LoadInt64(&asleep) < int64(n) {
		runtime.Gosched()
	}
	time.Sleep(10 * time.Millisecond)
	g.Go(func() error {
		failedAt = time.Now()
		return errFailed
	})
	if g.Wait() != errFailed {
		panic("wrong error")
	}
	return float64(time.Since(failedAt).Nanoseconds()) / 1000
}

func main() {
	_, size, _ := knitbench.Args()
	cancelRound(size)
	var took []float64
	for i := 0; i < 5; i++ {
		took = append(took, cancelRound(size))
	}
	fmt.Printf("%.1f\n", knitbench.Median(took))
}
