/* SPDX-License-Identifier: Apache-2.0 */
/* port_private_file() on Windows. There are no mode bits: a file is private here when its access list
 * lets none of the groups read it that everybody is in. */
#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <string.h>
#include <sys/stat.h>

#include <windows.h>
#include <aclapi.h>

#include "core/error.h"

/* SIDs of "everybody", in their various forms. */
static bool is_crowd(PSID sid)
{
	static const WELL_KNOWN_SID_TYPE crowds[] = {
		WinWorldSid, WinAuthenticatedUserSid, WinBuiltinUsersSid, WinBuiltinGuestsSid, WinAnonymousSid,
		WinInteractiveSid, WinNetworkSid,
	};
	for (size_t i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++)
		if (IsWellKnownSid(sid, crowds[i]))
			return true;
	return false;
}

/* 1: everybody may read it. Negative errno: the file system cannot say. */
static int crowd_reads(HANDLE file)
{
	PACL list = NULL;
	PSECURITY_DESCRIPTOR whole = NULL;
	int found = 0;
	if (GetSecurityInfo(file, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, &list, NULL, &whole))
		return -EIO;
	if (!list)
		found = 1; /* no list at all lets everybody in */
	for (DWORD i = 0; list && !found && i < list->AceCount; i++) {
		void *entry = NULL;
		if (!GetAce(list, i, &entry))
			continue;
		ACCESS_ALLOWED_ACE *ace = entry;
		bool reads = ace->Header.AceType == ACCESS_ALLOWED_ACE_TYPE &&
			!(ace->Header.AceFlags & INHERIT_ONLY_ACE) &&
			ace->Mask & (FILE_READ_DATA | GENERIC_READ | GENERIC_ALL);
		found = reads && is_crowd(&ace->SidStart);
	}
	LocalFree(whole);
	return found;
}

static int open_utf8(const char *path)
{
	wchar_t wide[1024];
	if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, 1024))
		return -ENOENT;
	int fd = _wopen(wide, _O_RDONLY | _O_BINARY | _O_NOINHERIT);
	return fd < 0 ? -errno : fd;
}

/* What speaks against the file; its size, if nothing does. */
static int check(int fd, const char *path, size_t max_bytes, size_t *bytes)
{
	struct _stat64 st;
	if (_fstat64(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > max_bytes)
		return dsm__fail(-EINVAL, "key file %s: expected a text file of at most %zu KiB", path, max_bytes >> 10);
	int open = crowd_reads((HANDLE)_get_osfhandle(fd));
	if (open < 0)
		return dsm__fail(-EACCES, "key file %s: its file system has no access list that could be checked; "
			"keep it on an NTFS volume, or give the key in DSM_KEYS", path);
	if (open)
		return dsm__fail(-EACCES, "key file %s: others may read it; "
			"icacls FILE /inheritance:r /grant:r %%USERNAME%%:F", path);
	*bytes = (size_t)st.st_size;
	return 0;
}

int port_private_file(const char *path, size_t max_bytes, void *(*room)(size_t), char **text)
{
	size_t bytes = 0, n = 0;
	int fd = open_utf8(path);
	if (fd < 0)
		return dsm__fail(fd, "key file %s: %s", path, port_strerror(-fd));
	int rc = check(fd, path, max_bytes, &bytes);
	char *memory = rc ? NULL : room(bytes + 1);
	if (rc == 0 && !memory)
		rc = dsm__fail(-ENOMEM, "no memory for key file %s", path);
	for (int got = 1; rc == 0 && got > 0 && n < bytes; n += (size_t)got) {
		got = _read(fd, memory + n, (unsigned)(bytes - n));
		if (got < 0)
			rc = dsm__fail(-errno, "key file %s: %s", path, port_strerror(errno));
	}
	_close(fd);
	if (memory)
		memory[rc ? 0 : n] = '\0';
	if (memory)
		*text = memory;
	return rc;
}
