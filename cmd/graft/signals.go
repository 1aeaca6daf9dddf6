package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long a verb may take to stop once its context is cancelled.
const grace = 2 * time.Second

// interruptible runs fn so that a first interrupt cancels ctx. With finish, a
// first interrupt only closes the channel that fn is given, so that a training
// step can end and be saved; a second one cancels ctx. A program that does not
// come to its end within moments of that is ended.
func interruptible(a *app, finish bool, fn func(ctx context.Context, interrupt <-chan struct{}) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	done, interrupt := make(chan struct{}), make(chan struct{})
	defer close(done)
	go func() {
		wait := func() bool {
			select {
			case <-signals:
				return true
			case <-done:
				return false
			}
		}
		if finish {
			if !wait() {
				return
			}
			close(interrupt)
			a.note("interrupted: finishing the step and saving; once more ends at once")
		}
		if !wait() {
			return
		}
		cancel()
		select {
		case <-done:
		case <-signals:
			os.Exit(exitInterrupted)
		case <-time.After(grace):
			os.Exit(exitInterrupted)
		}
	}()
	return fn(ctx, interrupt)
}
