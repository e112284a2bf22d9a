// limit_queue with Go, by hand: four goroutines take functions from a channel, the queue; the first
// error is kept. See knit.c for the values. A channel has its memory from the beginning, so endless
// is one as long as there are tasks.
package main

import (
	"fmt"
	"sync"
	"time"

	"knitbench"
)

const limit, queue = 4, 128

func noOp() error { return nil }

type pool struct {
	jobs  chan func() error
	wg    sync.WaitGroup
	once  sync.Once
	first error
}

func (p *pool) start() {
	for w := 0; w < limit; w++ {
		p.wg.Add(1)
		go func() {
			defer p.wg.Done()
			for job := range p.jobs {
				if err := job(); err != nil {
					p.once.Do(func() { p.first = err })
				}
			}
		}()
	}
}

func (p *pool) addAll(n int) {
	for i := 0; i < n; i++ {
		p.jobs <- noOp
	}
	close(p.jobs)
}

func queueRound(length, n int) float64 {
	start := time.Now()
	p := &pool{jobs: make(chan func() error, length)}
	p.start()
	p.addAll(n)
	p.wg.Wait()
	knitbench.Check(p.first)
	return knitbench.Per(start, n)
}

func bytesOfQueued(n int) float64 {
	before := knitbench.RSS()
	p := &pool{jobs: make(chan func() error, n)}
	p.addAll(n)
	bytes := float64(knitbench.RSS()-before) / float64(n)
	p.start()
	p.wg.Wait()
	return bytes
}

func main() {
	_, size, _ := knitbench.Args()
	bytes := bytesOfQueued(size)
	queueRound(queue, size)
	bounded := queueRound(queue, size)
	queueRound(size, size)
	endless := queueRound(size, size)
	fmt.Printf("%.3f endless=%.3f bytes=%.2f\n", bounded, endless, bytes)
}
