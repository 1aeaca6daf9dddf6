// Package diskspace says how much may still be written to a disk, so that a job
// of hours can know before it begins that its result will not fit.
//
//	free, ok := diskspace.Free("results")
//	if ok && free < need {
//		return errors.New("the disk is too full")
//	}
//
// It reserves nothing: another program may fill the disk meanwhile. Quotas that
// the system does not count as free space are not seen.
package diskspace

// Free returns the bytes that an ordinary user may still write to the file
// system that holds a directory; ok is false when the system does not say.
func Free(dir string) (bytes int64, ok bool) { return free(dir) }
