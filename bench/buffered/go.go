// buffered with Go: one channel of capacity 128, EXTRA senders and receivers. ns per item.
package main

import (
	"sync"
	"sync/atomic"
	"time"

	"knitbench"
)

func transfer(items, pairs int) float64 {
	ch := make(chan int64, 128)
	each := items / pairs
	var senders, receivers sync.WaitGroup
	var received int64
	start := time.Now()
	for p := 0; p < pairs; p++ {
		receivers.Add(1)
		go func() {
			defer receivers.Done()
			count := int64(0)
			for range ch {
				count++
			}
			atomic.AddInt64(&received, count)
		}()
		senders.Add(1)
		go func() {
			defer senders.Done()
			for i := 0; i < each; i++ {
				ch <- int64(i)
			}
		}()
	}
	senders.Wait()
	close(ch)
	receivers.Wait()
	ns := knitbench.Per(start, each*pairs)
	if received != int64(each*pairs) {
		panic("items lost")
	}
	return ns
}

func main() {
	knitbench.Play(1, transfer)
}
