// race with Go: SIZE functions of an errgroup with a context that can be cancelled; the EXTRA-th that
// ends well cancels it, and Wait waits for the losers. See knit.c for the values.
package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

const rounds, warm = 51, 5

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

type track struct {
	asleep, done, losers, winners int64
	wonAt                         time.Time
}

func (t *track) loser(ctx context.Context) error {
	atomic.AddInt64(&t.asleep, 1)
	return sleep(ctx, time.Hour)
}

func (t *track) winner(context.Context) error {
	for atomic.LoadInt64(&t.asleep) < t.losers {
		runtime.Gosched()
	}
	if atomic.AddInt64(&t.done, 1) == t.winners {
		t.wonAt = time.Now()
	}
	return nil
}

// The first k of the calls that succeed, when all have ended.
func take(calls []func(context.Context) error, k int) []int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var (
		g       errgroup.Group
		mu      sync.Mutex
		indexes []int
	)
	for i, call := range calls {
		i, call := i, call
		g.Go(func() error {
			if call(ctx) != nil {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if len(indexes) < k {
				indexes = append(indexes, i)
			}
			if len(indexes) == k {
				cancel()
			}
			return nil
		})
	}
	knitbench.Check(g.Wait())
	return indexes
}

// The winners are spread over the calls.
func raceRound(n, k int) (all, losers float64) {
	t := &track{losers: int64(n - k), winners: int64(k)}
	start := time.Now()
	calls := make([]func(context.Context) error, n)
	for i := range calls {
		if i%(n/k) == n/k/2 && i/(n/k) < k {
			calls[i] = t.winner
		} else {
			calls[i] = t.loser
		}
	}
	indexes := take(calls, k)
	end := time.Now()
	if len(indexes) != k {
		panic("a winner")
	}
	return float64(end.Sub(start).Nanoseconds()) / 1000, float64(end.Sub(t.wonAt).Nanoseconds()) / 1000
}

func main() {
	_, size, extra := knitbench.Args()
	for i := 0; i < warm; i++ {
		raceRound(size, extra)
	}
	var all, losers []float64
	for i := 0; i < rounds; i++ {
		a, l := raceRound(size, extra)
		all, losers = append(all, a), append(losers, l)
	}
	fmt.Printf("%.1f losers=%.1f\n", knitbench.Median(all), knitbench.Median(losers))
}
