package vulkan

import (
	"graft/kernels/vulkan/vk"
)

// recording is a command buffer that can be run again and again.
type recording struct {
	dev    *vk.Device
	pool   vk.CommandPool
	sem    *vk.Semaphore
	submit *vk.Submission
	runs   uint64
}

// record builds a recording from the commands that fill emits.
func (b *Backend) record(fill func(*vk.CommandBuffer) error) (*recording, error) {
	r := &recording{dev: b.dev}
	if err := r.init(fill); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *recording) init(fill func(*vk.CommandBuffer) error) (err error) {
	if r.sem, err = r.dev.CreateSemaphore(); err != nil {
		return err
	}
	if r.pool, err = r.dev.CreateCommandPool(); err != nil {
		return err
	}
	c, err := r.dev.BeginCommands(r.pool)
	if err != nil {
		return err
	}
	if err := fill(c); err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	r.submit = r.dev.NewSubmission(c, r.sem)
	return nil
}

// patience is how long one wait lasts, in nanoseconds. A wait that times out is
// repeated: how long a submission may take is the driver's watchdog's business.
const patience = 10e9

// run submits the recording and waits for its end. It allocates nothing.
func (r *recording) run() error {
	r.runs++
	if err := r.submit.Submit(r.runs); err != nil {
		return err
	}
	for {
		if done, err := r.sem.Wait(r.runs, patience); done || err != nil {
			return err
		}
	}
}

// close frees the recording, which must not be running.
func (r *recording) close() {
	r.dev.DestroyCommandPool(r.pool)
	if r.sem != nil {
		r.sem.Destroy()
	}
}
