package vulkan

import (
	"slices"
	"time"

	"graft/kernels"
)

// A recording is one submission unless it would run so long that a watchdog takes the
// device for hung: 2 s on Windows, 10 s with some drivers of Linux. It is then cut into
// segments, submissions that follow one another. Where it is cut changes no result, so
// that may depend on measured times, which nothing else here does.
//
// One dispatch cannot be cut here: an operation that can grow long in one has to split
// itself into several launches.
const (
	// segmentTime is how long a segment may take by estimate: a quarter of the shortest
	// watchdog's time, since work depends on the data too.
	segmentTime = 500 * time.Millisecond

	// What a slow GPU reaches with these kernels; the estimate until the first run.
	slowFLOPs = 20e9 // a second
	slowBytes = 4e9  // a second

	dispatchTime = 10e-6 // seconds of a dispatch that does next to nothing
)

// seconds estimates the time of one of n launches of an instruction.
func seconds(c kernels.Cost, n int) float64 {
	return dispatchTime + (float64(c.FLOPs)/slowFLOPs+float64(c.Bytes)/slowBytes)/float64(n)
}

// segment is a range of dispatches that are submitted together.
type segment struct {
	first, end int
	seconds    float64 // by estimate
}

// cut divides dispatches with the given times into segments of at most limit seconds, or of
// a single dispatch. There is at least one segment.
func cut(times []float64, limit float64) []segment {
	segs := []segment{{}}
	for i, t := range times {
		s := &segs[len(segs)-1]
		if s.end > s.first && s.seconds+t > limit {
			segs = append(segs, segment{first: i})
			s = &segs[len(segs)-1]
		}
		s.end, s.seconds = i+1, s.seconds+t
	}
	return segs
}

// patience is how long a wait for work of the estimated seconds lasts. It is generous:
// software drivers are slow and machines are shared.
func patience(seconds float64) time.Duration {
	const most = 24 * time.Hour
	return min(most, time.Minute+time.Duration(min(100*seconds, most.Seconds())*float64(time.Second)))
}

// total is the estimate for all segments.
func total(segs []segment) (seconds float64) {
	for _, s := range segs {
		seconds += s.seconds
	}
	return seconds
}

// estimate gives the time of every dispatch until it is known better.
func (e *exec) estimate() []float64 {
	times := make([]float64, len(e.steps))
	for i, s := range e.steps {
		times[i] = s.seconds
	}
	return times
}

// measure runs the segments one at a time, corrects the times of their dispatches by what
// they took, and cuts anew. It is the first run of a program of several segments: nothing
// is allocated by the runs that follow.
func (e *exec) measure() error {
	e.rec.begin()
	for i, s := range e.segs {
		start := time.Now()
		if err := e.rec.submit(i); err != nil {
			return err
		}
		if err := e.rec.wait(patience(s.seconds)); err != nil {
			return err
		}
		took := time.Since(start).Seconds()
		for d := s.first; d < s.end; d++ {
			e.times[d] *= took / s.seconds
		}
	}
	e.cold = false
	return e.recut()
}

// recut records the program anew if its times ask for other segments.
func (e *exec) recut() error {
	segs := cut(e.times, e.b.segmentTime.Seconds())
	e.limit = patience(total(segs))
	same := slices.EqualFunc(segs, e.segs, func(a, b segment) bool { return a.first == b.first && a.end == b.end })
	if same {
		return nil
	}
	rec, err := e.recordSegments(segs)
	if err != nil {
		return err
	}
	e.rec.close()
	e.rec, e.segs = rec, segs
	return nil
}
