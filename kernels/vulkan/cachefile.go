package vulkan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"graft/kernels/vulkan/vk"
	"graft/shaders"
)

// cacheEnv moves the directory of pipeline caches, or turns them off.
const cacheEnv = "GRAFT_PIPELINE_CACHE"

// maxCache bounds a cache file. A driver that has more to keep starts anew.
const maxCache = 64 << 20

// cacheFile holds a driver's pipeline cache between runs, one file for a device. It is
//
//	magic, SHA-256 of what the content belongs to, SHA-256 of the content, content
//
// A driver trusts the content that it is given, so one of another device, driver or set
// of kernels, or a damaged one, is never shown to it. Nothing here is an error: without
// the file, pipelines take longer to compile.
type cacheFile struct {
	path   string // "" is no file
	device string // what the names of all files of the device start with
	belong [sha256.Size]byte
	props  vk.Properties
	last   [sha256.Size]byte // of the content in the file, as far as known
}

const cacheMagic = "graft pipelines 1\n"

// newCacheFile names the file for a device. dir "" is the user's cache directory, "off"
// is none.
func newCacheFile(dir string, p vk.Properties) cacheFile {
	if dir == "off" {
		return cacheFile{}
	}
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return cacheFile{}
		}
		dir = filepath.Join(base, "graft", "vulkan")
	}
	h := sha256.New()
	fmt.Fprintf(h, "%x %x %x %d %d %d %s", p.DeviceUUID, p.DriverUUID, p.CacheUUID, p.VendorID, p.DeviceID,
		p.DriverVersion, shaders.Fingerprint())
	f := cacheFile{device: filepath.Join(dir, fmt.Sprintf("%x-", p.DeviceUUID)), props: p}
	h.Sum(f.belong[:0])
	f.path = fmt.Sprintf("%s%x.pipelines", f.device, f.belong[:8])
	return f
}

// read returns the content, nil when there is none that can be trusted.
func (f *cacheFile) read() []byte {
	if f.path == "" {
		return nil
	}
	if st, err := os.Stat(f.path); err != nil || !st.Mode().IsRegular() || st.Size() > maxCache {
		return nil
	}
	b, err := os.ReadFile(f.path)
	if err != nil {
		return nil
	}
	b, ok := bytes.CutPrefix(b, []byte(cacheMagic))
	if !ok || len(b) < 2*sha256.Size || !bytes.Equal(b[:sha256.Size], f.belong[:]) {
		return nil
	}
	sum, content := b[sha256.Size:2*sha256.Size], b[2*sha256.Size:]
	if got := sha256.Sum256(content); !bytes.Equal(got[:], sum) || !f.fits(content) {
		return nil
	}
	copy(f.last[:], sum)
	return content
}

// fits reads the header that Vulkan puts before every cache.
func (f *cacheFile) fits(content []byte) bool {
	const version, length = 1, 32 // VK_PIPELINE_CACHE_HEADER_VERSION_ONE
	if len(content) < length {
		return false
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(content[4*i:]) }
	return word(0) >= length && int(word(0)) <= len(content) && word(1) == version &&
		word(2) == f.props.VendorID && word(3) == f.props.DeviceID && bytes.Equal(content[16:32], f.props.CacheUUID[:])
}

// write replaces the file, at once or not at all, and removes those that the device left
// behind under other drivers and kernels. A content too large removes the file.
func (f *cacheFile) write(content []byte) {
	sum := sha256.Sum256(content)
	if f.path == "" || sum == f.last || !f.fits(content) {
		return
	}
	if len(cacheMagic)+2*sha256.Size+len(content) > maxCache {
		os.Remove(f.path)
		return
	}
	if os.MkdirAll(filepath.Dir(f.path), 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.device)+"*.tmp")
	if err != nil {
		return
	}
	_, err = tmp.Write(bytes.Join([][]byte{[]byte(cacheMagic), f.belong[:], sum[:], content}, nil))
	if closed := tmp.Close(); err != nil || closed != nil || os.Rename(tmp.Name(), f.path) != nil {
		os.Remove(tmp.Name())
		return
	}
	f.last = sum
	all, _ := os.ReadDir(filepath.Dir(f.path))
	for _, e := range all {
		name := filepath.Join(filepath.Dir(f.path), e.Name())
		if ours := strings.HasSuffix(name, ".pipelines") || strings.HasSuffix(name, ".tmp"); ours &&
			strings.HasPrefix(name, f.device) && name != f.path {
			os.Remove(name)
		}
	}
}
