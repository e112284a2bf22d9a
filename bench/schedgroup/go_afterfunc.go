// schedgroup with what Go's own library has: a time.AfterFunc for each task, a wait group; to give
// all up, each is stopped. No errors, no context, no order. See knit.c for the values.
package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"knitbench"
)

const stride = 7919

type group struct {
	wg     sync.WaitGroup
	timers []*time.Timer
}

var ran atomic.Int64

func (g *group) schedule(d time.Duration, fn func()) {
	g.wg.Add(1)
	g.timers = append(g.timers, time.AfterFunc(d, func() {
		defer g.wg.Done()
		fn()
	}))
}

func (g *group) drop() {
	for _, t := range g.timers {
		if t.Stop() {
			g.wg.Done()
		}
	}
	g.wg.Wait()
}

func count() { ran.Add(1) }

func scheduleAll(g *group, begin time.Duration, n int) {
	for i := 0; i < n; i++ {
		g.schedule(begin+time.Duration(i*stride%n)*(time.Second/time.Duration(n)), count)
	}
}

func runRound(n int) float64 {
	start := time.Now()
	var g group
	ran.Store(0)
	scheduleAll(&g, -time.Second, n)
	g.wg.Wait()
	if ran.Load() != int64(n) {
		panic("not all ran")
	}
	return knitbench.Per(start, n)
}

func dropRound(n int) (add, bytes, drop float64) {
	rss := knitbench.RSS()
	start := time.Now()
	var g group
	scheduleAll(&g, time.Hour, n)
	add = knitbench.Per(start, n)
	bytes = float64(knitbench.RSS()-rss) / float64(n)
	begin := time.Now()
	g.drop()
	drop = knitbench.Per(begin, n)
	return add, bytes, drop
}

func main() {
	_, size, _ := knitbench.Args()
	_, bytes, _ := dropRound(size)
	add, _, drop := dropRound(size)
	runRound(size)
	fmt.Printf("%.1f add=%.1f bytes=%.1f drop=%.1f\n", runRound(size), add, bytes, drop)
}
