// schedgroup with Go: what github.com/mdlayher/schedgroup does (which Debian does not package), with
// its two races mended: a heap under a mutex, one goroutine with one timer that starts what is due
// in an errgroup, and a flag under the mutex that says there is something new. See knit.c for the values.
package main

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

const stride = 7919

type plan struct {
	when time.Time
	fn   func() error
}

type plans []plan

func (p plans) Len() int           { return len(p) }
func (p plans) Less(i, j int) bool { return p[i].when.Before(p[j].when) }
func (p plans) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *plans) Push(x any)        { *p = append(*p, x.(plan)) }
func (p *plans) Pop() any {
	old := *p
	last := old[len(old)-1]
	*p = old[:len(old)-1]
	return last
}

type schedgroup struct {
	g      *errgroup.Group
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1: a level, not an event
	done   chan struct{}
	mu     sync.Mutex
	heap   plans
	closed bool
}

func newGroup() *schedgroup {
	s := &schedgroup{wake: make(chan struct{}, 1), done: make(chan struct{})}
	parent, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.g, s.ctx = errgroup.WithContext(parent)
	go s.monitor()
	return s
}

func (s *schedgroup) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it says so already
	}
}

func (s *schedgroup) schedule(when time.Time, fn func() error) {
	s.mu.Lock()
	first := len(s.heap) == 0 || when.Before(s.heap[0].when)
	heap.Push(&s.heap, plan{when, fn})
	s.mu.Unlock()
	if first {
		s.poke()
	}
}

// start what is due; false: there is nothing left, and there will be nothing.
func (s *schedgroup) startDue() (next time.Duration, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.heap) > 0 && !s.heap[0].when.After(now) {
		s.g.Go(heap.Pop(&s.heap).(plan).fn)
	}
	if len(s.heap) > 0 {
		return s.heap[0].when.Sub(now), true
	}
	return time.Hour, !s.closed
}

func (s *schedgroup) monitor() {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, more := s.startDue()
		if !more {
			return
		}
		if !timer.Stop() {
			select {
			case <-timer.C:
			default:
			}
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.ctx.Done():
			s.mu.Lock()
			s.heap = nil
			s.mu.Unlock()
			return
		}
	}
}

func (s *schedgroup) wait() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.poke()
	<-s.done
	return s.g.Wait()
}

var ran atomic.Int64

func count() error {
	ran.Add(1)
	return nil
}

func scheduleAll(s *schedgroup, begin time.Time, n int) {
	for i := 0; i < n; i++ {
		s.schedule(begin.Add(time.Duration(i*stride%n)*(time.Second/time.Duration(n))), count)
	}
}

func runRound(n int) float64 {
	start := time.Now()
	s := newGroup()
	ran.Store(0)
	scheduleAll(s, time.Now().Add(-time.Second), n)
	knitbench.Check(s.wait())
	if ran.Load() != int64(n) {
		panic("not all ran")
	}
	return knitbench.Per(start, n)
}

func dropRound(n int) (add, bytes, drop float64) {
	rss := knitbench.RSS()
	start := time.Now()
	s := newGroup()
	scheduleAll(s, time.Now().Add(time.Hour), n)
	add = knitbench.Per(start, n)
	bytes = float64(knitbench.RSS()-rss) / float64(n)
	begin := time.Now()
	s.cancel()
	knitbench.Check(s.wait())
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
