package vulkan

import (
	"errors"
	"fmt"
	"time"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

// recording is a list of command buffers, its parts, that can be run again and again. The
// parts run one after another; each raises the semaphore by one when it is done.
type recording struct {
	b       *Backend
	pool    vk.CommandPool
	sem     *vk.Semaphore
	parts   []*vk.Submission
	queries *vk.Queries // that the parts write, nil for none
	base    uint64      // of the semaphore when the current run began
	next    uint64      // of the semaphore when all that was submitted is done
	behind  bool        // a wait ended before the work did
}

// record starts a recording without parts.
func (b *Backend) record() (*recording, error) {
	r := &recording{b: b}
	var err error
	if r.sem, err = b.dev.CreateSemaphore(); err == nil {
		r.pool, err = b.dev.CreateCommandPool()
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// add appends a part with the commands that fill emits.
func (r *recording) add(fill func(*vk.CommandBuffer) error) error {
	c, err := r.b.dev.BeginCommands(r.pool)
	if err != nil {
		return err
	}
	if err := fill(c); err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	r.parts = append(r.parts, r.b.dev.NewSubmission(c, r.sem))
	return nil
}

// run submits all parts and waits for their end, at most limit. It allocates nothing
// unless it fails.
func (r *recording) run(limit time.Duration) error {
	r.begin()
	for i := range r.parts {
		if err := r.submit(i); err != nil {
			// What was submitted before still runs, and uses what the caller may free.
			r.wait(limit)
			return err
		}
	}
	return r.wait(limit)
}

// begin marks the start of a run, for finished.
func (r *recording) begin() { r.base = r.next }

// submit sends a part to the queue.
func (r *recording) submit(part int) error {
	if err := r.parts[part].Submit(r.next + 1); err != nil {
		return err
	}
	r.next++
	return nil
}

// wait waits until all that was submitted is done.
func (r *recording) wait(limit time.Duration) error {
	done, err := r.sem.Wait(r.next, uint64(limit))
	if r.behind = !done; err != nil {
		return err
	}
	if !done {
		return fmt.Errorf("%w: not done after %v", kernels.ErrTimeout, limit.Round(time.Second))
	}
	return nil
}

// finished tells how many parts of the current run are done; ok is false when the driver
// does not tell, or what it tells cannot be.
func (r *recording) finished() (parts int, ok bool) {
	v, err := r.sem.Value()
	if err != nil || v < r.base || v > r.next {
		return 0, false
	}
	return int(v - r.base), true
}

// lastWait is how long close waits for work that outlived its run's limit.
const lastWait = 10 * time.Second

// close frees the recording. Work that still runs, and may never end, keeps what it uses
// until the backend is closed; freed is then false.
func (r *recording) close() (freed bool) {
	if r.behind && errors.Is(r.wait(lastWait), kernels.ErrTimeout) {
		r.b.late = append(r.b.late, r)
		return false
	}
	r.free()
	return true
}

// free frees what the device does not work on any more.
func (r *recording) free() {
	if r.queries != nil {
		r.queries.Destroy()
	}
	r.b.dev.DestroyCommandPool(r.pool)
	if r.sem != nil {
		r.sem.Destroy()
	}
}

// onceLimit bounds transfers and fills, which are of any size.
const onceLimit = 10 * time.Minute

// once records commands, runs them and waits.
func (b *Backend) once(fill func(*vk.CommandBuffer)) error {
	r, err := b.record()
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.add(func(c *vk.CommandBuffer) error { fill(c); return nil }); err != nil {
		return err
	}
	return r.run(onceLimit)
}
