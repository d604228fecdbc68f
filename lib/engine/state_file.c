/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State files on disk: PATH, PATH.prev (the one before) and, while a save is under way,
 * PATH.new. Whenever the power fails, one of them is whole: PATH.new is on the disk before
 * PATH is touched. Between the two renames there is no PATH; then PATH.new is the newest.
 */
#include "engine/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dsm/engine.h>

#include "core/error.h"
#include "core/hooks.h"
#include "engine/state_format.h"

#define SUFFIX_MAX 5 /* ".prev" */

/* The folder, held open so that all steps happen in the same one, and the names in it. */
struct place {
	int folder;
	char name[NAME_MAX + 1], fresh[NAME_MAX + 1], previous[NAME_MAX + 1];
};

static int fail_errno(const char *path, const char *suffix, const char *what, int error,
	const char *advice)
{
	return dsm__fail(-error, "state file %s%s: %s: %s%s", path, suffix, what, strerrordesc_np(error),
		advice);
}

static int place_open(const char *path, struct place *out)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t length = slash ? (size_t)(slash - path) : 0;
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return dsm__fail(-EINVAL, "state file '%s': names a folder; add a file name", path);
	if (strlen(name) + SUFFIX_MAX > NAME_MAX || length >= sizeof(folder))
		return dsm__fail(-ENAMETOOLONG, "state file: its name is too long (at most %d bytes)",
			NAME_MAX - SUFFIX_MAX);
	memcpy(folder, path, length);
	folder[length] = '\0';
	if (!slash)
		strcpy(folder, ".");
	else if (length == 0)
		strcpy(folder, "/");
	snprintf(out->name, sizeof(out->name), "%s", name);
	snprintf(out->fresh, sizeof(out->fresh), "%.*s.new", NAME_MAX - SUFFIX_MAX, name);
	snprintf(out->previous, sizeof(out->previous), "%.*s.prev", NAME_MAX - SUFFIX_MAX, name);
	out->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->folder < 0)
		return fail_errno(path, "", "its folder cannot be opened", errno, "");
	return 0;
}

/* ---- storing ---- */

/* A save replaces what is at PATH: never a device, a link or a folder. 1 = there is a file. */
static int replaceable(const struct place *place, const char *path)
{
	struct stat st;
	if (fstatat(place->folder, place->name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return 0;
		return fail_errno(path, "", "cannot be looked at", errno, "");
	}
	if (S_ISLNK(st.st_mode))
		return dsm__fail(-ELOOP, "state file %s: is a symbolic link; give the path it points to", path);
	if (!S_ISREG(st.st_mode))
		return dsm__fail(-EINVAL, "state file %s: is no regular file; choose another path", path);
	return 1;
}

static int write_all(int fd, const unsigned char *data, size_t size)
{
	while (size > 0) {
		size_t part = size < ((size_t)64 << 20) ? size : (size_t)64 << 20;
		ssize_t n = write(fd, data, part);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int sync_fd(int fd)
{
	int rc;
	do
		rc = fsync(fd);
	while (rc && errno == EINTR);
	return rc ? -errno : 0;
}

static int write_fresh(const struct place *place, const char *path, const struct state_image *image)
{
	const char *kept = "; what was saved before stays";
	if (unlinkat(place->folder, place->fresh, 0) && errno != ENOENT)
		return fail_errno(path, ".new", "an old one cannot be removed", errno, kept);
	int fd = openat(place->folder, place->fresh,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(path, ".new", "cannot be created", errno, kept);
	size_t half = image->size / 2;
	int rc = write_all(fd, image->data, half);
	DSM_POINT("save-mid-write");
	if (rc == 0)
		rc = write_all(fd, image->data + half, image->size - half);
	if (rc == 0)
		rc = sync_fd(fd);
	if (close(fd) && rc == 0 && errno != EINTR)
		rc = -errno; /* NFS tells of a full disk here */
	if (rc == 0)
		return 0;
	unlinkat(place->folder, place->fresh, 0);
	return fail_errno(path, ".new", "cannot be written", -rc,
		rc == -ENOSPC || rc == -EDQUOT ? "; what was saved before stays; free some space" : kept);
}

/* PATH to PATH.prev, PATH.new to PATH; back again if the second fails. */
static int rotate(const struct place *place, const char *path, bool there)
{
	DSM_POINT("save-before-rename");
	int error = 0;
	if (there && renameat(place->folder, place->name, place->folder, place->previous)) {
		error = errno;
		goto remove_fresh;
	}
	DSM_POINT("save-between-renames");
	if (renameat(place->folder, place->fresh, place->folder, place->name)) {
		error = errno;
		goto restore_name;
	}
	DSM_POINT("save-after-rename");
	int rc = sync_fd(place->folder);
	if (rc && rc != -EINVAL && rc != -ENOTSUP) /* some file systems cannot sync a folder */
		return fail_errno(path, "", "saved, but its folder cannot be synced", -rc, "");
	return 0;
restore_name:
	if (there)
		renameat(place->folder, place->previous, place->folder, place->name);
remove_fresh:
	unlinkat(place->folder, place->fresh, 0);
	return fail_errno(path, "", "cannot be replaced", error, "; what was saved before stays");
}

int state_store(const char *path, const struct state_image *image)
{
	struct place place;
	if (!path || !image || image->error || !image->data)
		return dsm__fail(-EINVAL, "state file: no path, or an image that was not finished");
	if (image->size > STATE_FILE_MAX)
		return dsm__fail(-EFBIG, "state file %s: would have %zu bytes, over the 4 GiB that can be "
			"loaded; leave large groups out with no_save", path, image->size);
	int rc = place_open(path, &place);
	if (rc)
		return rc;
	int there = replaceable(&place, path);
	rc = there < 0 ? there : write_fresh(&place, path, image);
	if (rc == 0)
		rc = rotate(&place, path, there == 1);
	close(place.folder);
	return rc;
}

/* ---- loading ---- */

static int read_all(int fd, unsigned char *data, size_t size)
{
	size_t at = 0;
	while (at < size) {
		ssize_t n = pread(fd, data + at, size - at, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dsm__fail(-errno, "cannot be read: %s", strerrordesc_np(errno));
		if (n == 0)
			return dsm__fail(-EBADMSG, "truncated: it became shorter while it was read");
		at += (size_t)n;
	}
	return 0;
}

/* The content of an open file, verified. Texts without the path. */
static int load_fd(int fd, struct state_image *image)
{
	struct stat st;
	struct state_header header;
	if (fstat(fd, &st))
		return dsm__fail(-errno, "cannot be looked at: %s", strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode))
		return dsm__fail(-EINVAL, "foreign: no regular file");
	uint64_t size = (uint64_t)st.st_size;
	if (size > STATE_FILE_MAX)
		return dsm__fail(-EFBIG, "foreign: %llu bytes are over 4 GiB", (unsigned long long)size);
	/* the header first, so that a foreign file costs no memory */
	size_t head = size < sizeof(header) ? (size_t)size : sizeof(header);
	int rc = read_all(fd, (unsigned char *)&header, head);
	if (rc == 0)
		rc = state_verify_header(&header, head, size);
	if (rc)
		return rc;
	unsigned char *data = malloc((size_t)size);
	if (!data)
		return dsm__fail(-ENOMEM, "no memory for its %llu bytes", (unsigned long long)size);
	rc = read_all(fd, data, (size_t)size);
	if (rc == 0)
		rc = state_walk(data, (size_t)size, NULL, NULL, NULL);
	if (rc) {
		free(data);
		return rc;
	}
	*image = (struct state_image){ .data = data, .size = (size_t)size, .room = (size_t)size };
	return 0;
}

/* -ENOENT: not there. O_NONBLOCK: a pipe in its place must not hold us up. */
static int load_path(const char *path, struct state_image *image)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP)
		return dsm__fail(-ELOOP, "foreign: a symbolic link; give the path it points to");
	if (fd < 0)
		return dsm__fail(-errno, "cannot be opened: %s", strerrordesc_np(errno));
	int rc = load_fd(fd, image);
	close(fd);
	return rc;
}

struct report {
	char *text;
	size_t size, length;
};

static void report_line(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void report_line(struct report *report, const char *format, ...)
{
	if (!report->text || report->length + 2 >= report->size)
		return;
	if (report->length > 0)
		report->text[report->length++] = '\n';
	va_list args;
	va_start(args, format);
	int n = vsnprintf(report->text + report->length, report->size - report->length, format, args);
	va_end(args);
	if (n > 0)
		report->length += (size_t)n;
	if (report->length >= report->size)
		report->length = report->size - 1;
}

int state_load(const char *path, struct state_image *image, char *used, size_t used_size,
	char *report, size_t report_size)
{
	static const char *const suffixes[] = { "", ".new", ".prev" };
	struct report lines = { report, report_size, 0 };
	char file[PATH_MAX], reason[400] = "";
	int first = 0; /* of the refusals, the one that is returned */
	if (report && report_size > 0)
		report[0] = '\0';
	if (!path || !image || strlen(path) + SUFFIX_MAX >= sizeof(file))
		return dsm__fail(-EINVAL, "state file: no path, or too long a path");
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		struct state_image loaded;
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		int rc = load_path(file, &loaded);
		if (rc == 0) {
			if (i > 0 && !first)
				report_line(&lines, "state file %s: not there, a save was interrupted", path);
			*image = loaded;
			if (used && used_size > 0)
				snprintf(used, used_size, "%s", file);
			return 0;
		}
		if (rc == -ENOENT)
			continue;
		report_line(&lines, "state file %s refused: %s", file, dsm_error());
		if (rc == -ENOMEM)
			return rc;
		if (!first) {
			first = rc;
			snprintf(reason, sizeof(reason), "%.150s%s: %.200s", path, suffixes[i], dsm_error());
		}
	}
	if (!first)
		return dsm__fail(-ENOENT, "state file %s: neither it nor one before it is there", path);
	return dsm__fail(first, "state file %s; no other copy is whole", reason);
}

int dsm_state_foreach(const char *path,
	int (*fn)(const char *name, const char *unit, const struct dsm_sample *sample, void *context),
	void *context)
{
	struct state_image image;
	char reason[400];
	if (!path || !fn)
		return dsm__fail(-EINVAL, "dsm_state_foreach: no path or no function given");
	int rc = load_path(path, &image);
	if (rc) {
		snprintf(reason, sizeof(reason), "%s", dsm_error());
		return dsm__fail(rc, "state file %.100s: %s", path, reason);
	}
	rc = state_walk(image.data, image.size, fn, NULL, context);
	state_free(&image);
	return rc;
}
