// timers with Go: SIZE contexts with a timeout of about an hour, all live at once, then cancelled.
package main

import (
	"context"
	"fmt"
	"time"

	"knitbench"
)

const stride = 7919

func timerRound(cancels []context.CancelFunc) (add, cancel float64) {
	n := len(cancels)
	start := time.Now()
	for i := range cancels {
		d := time.Hour + time.Duration(i*stride%n)*time.Microsecond
		_, cancels[i] = context.WithTimeout(context.Background(), d)
	}
	added := time.Now()
	for i := 0; i < n; i++ {
		cancels[i*stride%n]()
	}
	ended := time.Now()
	return float64(added.Sub(start).Nanoseconds()) / float64(n),
		float64(ended.Sub(added).Nanoseconds()) / float64(n)
}

func main() {
	_, size, _ := knitbench.Args()
	cancels := make([]context.CancelFunc, size)
	timerRound(cancels)
	add, cancel := timerRound(cancels)
	fmt.Printf("%.1f cancel=%.1f\n", add, cancel)
}
