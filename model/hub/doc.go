// Package hub downloads model repositories from the Hugging Face Hub into the
// cache that the Python tools use, and finds them there.
//
//	cfg, err := hub.FromEnv(os.Getenv)                      // HF_HOME, HF_TOKEN, HF_ENDPOINT, ...
//	repo, rev, err := hub.ParseName("HuggingFaceTB/SmolLM2-135M@main")
//	got, err := hub.Fetch(ctx, cfg, repo, rev, hub.Options{})
//	ck, err := model.Open(got.Dir)                          // later: cfg.Find(repo, rev)
//
// The cache is huggingface_hub's, so that a model fetched by either is there for
// both:
//
//	hub/models--org--name/blobs/<etag>               contents
//	hub/models--org--name/snapshots/<commit>/<file>  links to ../../blobs/<etag>
//	hub/models--org--name/refs/<branch or tag>       the commit it was when fetched
//	hub/.locks/models--org--name/<etag>.lock         held while a blob is written
//
// A blob gets its name when its length and its checksum are right, the links are
// made when all blobs are there, and the ref is written last. What a broken
// download leaves is <etag>.incomplete, which the next one goes on with.
//
// What the server says is not trusted: names that leave the snapshot are refused,
// and the token goes to the endpoint's own host only, wherever it redirects.
//
// Data sets, uploads and the Hub's chunked transfer protocol are left to the
// Python tools. Files are downloaded one after another.
package hub
