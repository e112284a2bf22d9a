// select with Go: EXTRA (2, 4 or 8) unbuffered channels, a goroutine that sends on each of them, one
// that receives from all by select. ns per item.
package main

import (
	"sync"
	"time"

	"knitbench"
)

func receive2(c []chan int, items int) (sum int) {
	c0, c1 := c[0], c[1]
	for i := 0; i < items; i++ {
		select {
		case v := <-c0:
			sum += v
		case v := <-c1:
			sum += v
		}
	}
	return
}

func receive4(c []chan int, items int) (sum int) {
	c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
	for i := 0; i < items; i++ {
		select {
		case v := <-c0:
			sum += v
		case v := <-c1:
			sum += v
		case v := <-c2:
			sum += v
		case v := <-c3:
			sum += v
		}
	}
	return
}

func receive8(c []chan int, items int) (sum int) {
	c0, c1, c2, c3, c4, c5, c6, c7 := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
	for i := 0; i < items; i++ {
		select {
		case v := <-c0:
			sum += v
		case v := <-c1:
			sum += v
		case v := <-c2:
			sum += v
		case v := <-c3:
			sum += v
		case v := <-c4:
			sum += v
		case v := <-c5:
			sum += v
		case v := <-c6:
			sum += v
		case v := <-c7:
			sum += v
		}
	}
	return
}

func transfer(items, n int) float64 {
	receive := map[int]func([]chan int, int) int{2: receive2, 4: receive4, 8: receive8}[n]
	each := items / n
	chans := make([]chan int, n)
	for i := range chans {
		chans[i] = make(chan int)
	}
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(n + 1)
	go func() {
		defer wg.Done()
		if receive(chans, each*n) != n*(each*(each-1)/2) {
			panic("items lost")
		}
	}()
	for _, c := range chans {
		go func(c chan int) {
			defer wg.Done()
			for i := 0; i < each; i++ {
				c <- i
			}
		}(c)
	}
	wg.Wait()
	return knitbench.Per(start, each*n)
}

func main() {
	knitbench.Play(2, transfer)
}
