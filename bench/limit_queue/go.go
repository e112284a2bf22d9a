// limit_queue with Go: x/sync has no queue. SIZE functions in one errgroup, unlimited, each of which
// takes one of four places of a semaphore first: the goroutines are the queue (endless). With
// SetLimit(4) the parent waits at every fifth (the value without a name).
package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"knitbench"
)

const limit = 4

func noOp() error { return nil }

func limitRound(n int) float64 {
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(limit)
	for i := 0; i < n; i++ {
		g.Go(noOp)
	}
	knitbench.Check(g.Wait())
	return knitbench.Per(start, n)
}

// The memory in use when all were started, and what it cost to start and finish them. With `paused`
// none may begin before that.
func endlessRound(n int, paused bool) (ns, bytes float64) {
	ctx := context.Background()
	start, before := time.Now(), knitbench.RSS()
	places := semaphore.NewWeighted(limit)
	if paused {
		knitbench.Check(places.Acquire(ctx, limit))
	}
	var g errgroup.Group
	for i := 0; i < n; i++ {
		g.Go(func() error {
			if err := places.Acquire(ctx, 1); err != nil {
				return err
			}
			defer places.Release(1)
			return noOp()
		})
	}
	if paused {
		time.Sleep(100 * time.Millisecond)
		bytes = float64(knitbench.RSS()-before) / float64(n)
		places.Release(limit)
	}
	knitbench.Check(g.Wait())
	return knitbench.Per(start, n), bytes
}

func main() {
	_, size, _ := knitbench.Args()
	_, bytes := endlessRound(size, true)
	limitRound(size)
	bounded := limitRound(size)
	endlessRound(size, false)
	endless, _ := endlessRound(size, false)
	fmt.Printf("%.3f endless=%.3f bytes=%.2f\n", bounded, endless, bytes)
}
