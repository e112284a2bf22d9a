// syncmap with Go: THREADS goroutines use one sync.Map. ns of elapsed time per operation.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"knitbench"
)

const keys = 100000

var m sync.Map

func use(operations, stores int) float64 {
	threads := runtime.GOMAXPROCS(0)
	each := operations / threads
	var wg sync.WaitGroup
	start := time.Now()
	for t := 0; t < threads; t++ {
		wg.Add(1)
		go func(random uint64) {
			defer wg.Done()
			value := new(int)
			for i := 0; i < each; i++ {
				random = random*6364136223846793005 + 1442695040888963407
				key := (random >> 33) % keys
				if int(random>>20&127)*100 < stores*128 {
					m.Store(key, value)
				} else if _, ok := m.Load(key); !ok {
					panic("load")
				}
			}
		}(uint64(t)*977 + 1)
	}
	wg.Wait()
	return knitbench.Per(start, operations)
}

func main() {
	_, size, stores := knitbench.Args()
	value := new(int)
	for key := uint64(0); key < keys; key++ {
		m.Store(key, value)
	}
	use(size/10+64, stores)
	fmt.Printf("%.3f\n", use(size, stores))
}
