// Package dropdir is a directory into which a system drops files: the part of
// a file source that does not depend on the file's kind.
//
//	drop/                 new files; written elsewhere and renamed into place, or left alone
//	                      until size and time have not changed for Config.Settle
//	drop/done/            files that were carried (or removed, Config.Delete)
//	drop/rejected/        files that could not be carried, each with NAME.reason.json
//
// Names that begin with a dot or ~$ or end in .tmp, .part or .filepart are taken
// for half-written and left alone. The directory is scanned anew for every file,
// oldest first; nothing depends on a notification, so no file is missed.
package dropdir
