/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be there before the first datagram: the key, the boot counter, the socket. */
#include "adc.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/key.h"

#define PORT "7462"
#define KEYS_MAX 262144u

/* ---- the key ---- */

/* The line "device:ID LABEL KEY". Lines end with \n, in DSM_KEYS also with `;`. */
static int find_key(const char *where, char *text, uint32_t id, uint8_t key[SIPHASH_KEY])
{
	char role[32], *line, *rest = text;
	snprintf(role, sizeof(role), "device:%u", id);
	for (unsigned number = 1; (line = strsep(&rest, "\n;")); number++) {
		char *save = NULL, *word = strtok_r(line, " \t\r", &save);
		if (!word || strcmp(word, role) != 0)
			continue;
		strtok_r(NULL, " \t\r", &save);
		word = strtok_r(NULL, " \t\r", &save);
		if (!word || key_parse(word, strlen(word), SIPHASH_KEY, key) != 0)
			return complain("%s:%u: key of %s: expected LABEL and 16 bytes as 32 hexadecimal digits or base64",
				where, number, role);
		return 0;
	}
	return complain("%s: it has no key of %s; make one with: dsm keygen %s", where, role, role);
}

static int read_keys(const char *path, char *text)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return complain("%s: %s", path, strerror(errno));
	ssize_t n = -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		complain("%s: it is no regular file", path);
	else if (st.st_mode & 077)
		complain("%s: others may use it; run: chmod 600 %s", path, path);
	else if ((n = read(fd, text, KEYS_MAX - 1)) < 0)
		complain("%s: %s", path, strerror(errno));
	else
		text[n] = '\0';
	close(fd);
	return n < 0 ? -1 : 0;
}

int key_load(const char *path, uint32_t id, uint8_t key[SIPHASH_KEY])
{
	const char *env = getenv("DSM_KEYS");
	if (!path && !env)
		return complain("no key: give --key FILE (dsm keygen device:%u makes one), or set DSM_KEYS", id);
	char *text = malloc(KEYS_MAX);
	if (!text)
		return complain("no memory for the keys");
	int error = 0;
	if (path)
		error = read_keys(path, text);
	else
		snprintf(text, KEYS_MAX, "%s", env);
	if (!error)
		error = find_key(path ? path : "DSM_KEYS", text, id, key);
	explicit_bzero(text, KEYS_MAX);
	free(text);
	return error;
}

/* ---- the boot counter ---- */

static int default_path(struct epoch *e, uint32_t id)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;
	if (state && state[0] == '/')
		n = snprintf(e->path, sizeof(e->path), "%s/dsm/adc-%u.epoch", state, id);
	else if (home && home[0] == '/')
		n = snprintf(e->path, sizeof(e->path), "%s/.local/state/dsm/adc-%u.epoch", home, id);
	else
		return complain("no place for the boot counter: HOME is not set; give --epoch FILE");
	if (n < 0 || n >= (int)sizeof(e->path))
		return complain("the path of the boot counter is too long; give --epoch FILE");
	for (char *slash = strchr(e->path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(e->path, 0700); /* what fails here, fails again at the file */
		*slash = '/';
	}
	return 0;
}

int epoch_open(struct epoch *e, const char *path, uint32_t id)
{
	char lock[520];
	e->lock_fd = -1;
	if (path && (size_t)snprintf(e->path, sizeof(e->path), "%s", path) >= sizeof(e->path))
		return complain("--epoch: the path is too long");
	if (!path && default_path(e, id))
		return -1;
	snprintf(lock, sizeof(lock), "%s.lock", e->path);
	e->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (e->lock_fd < 0)
		return complain("%s: %s; the boot counter is kept beside it, see --epoch", lock, strerror(errno));
	if (flock(e->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	epoch_close(e);
	return complain("%s: another dsm-adc has it: a device can only run once", e->path);
}

void epoch_close(struct epoch *e)
{
	if (e->lock_fd >= 0)
		close(e->lock_fd);
	e->lock_fd = -1;
}

/* No file: it never ran. */
bool epoch_load(const struct epoch *e, uint32_t *value)
{
	FILE *file = fopen(e->path, "re");
	unsigned long long v = 0;
	if (!file) {
		*value = 0;
		return errno == ENOENT;
	}
	int first, next = 0; /* digits only: fscanf would take a sign as well */
	while ((first = getc(file)) == ' ' || (first >= '\t' && first <= '\r'))
		;
	bool good = first >= '0' && first <= '9' && ungetc(first, file) == first && fscanf(file, "%10llu", &v) == 1 &&
		v <= UINT32_MAX && ((next = getc(file)) < '0' || next > '9');
	fclose(file);
	*value = good ? (uint32_t)v : 0;
	return good;
}

static bool sync_folder(const char *path)
{
	char folder[512];
	snprintf(folder, sizeof(folder), "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return good;
}

bool epoch_store(const struct epoch *e, uint32_t value)
{
	char fresh[520];
	snprintf(fresh, sizeof(fresh), "%s.new", e->path);
	FILE *file = fopen(fresh, "we");
	if (!file)
		return false;
	bool good = fprintf(file, "%u\n", value) > 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
	good = fclose(file) == 0 && good;
	return good && rename(fresh, e->path) == 0 && sync_folder(e->path);
}

/* ---- the socket ---- */

static bool split(const char *target, char host[256], char port[6])
{
	const char *end = target[0] == '[' ? strchr(target, ']') : strrchr(target, ':');
	const char *from = target + (target[0] == '['), *colon = end;
	if (target[0] == '[' && !end)
		return false;
	if (target[0] == '[')
		colon = end[1] ? end + 1 : NULL;
	else if (end && strchr(target, ':') != end)
		end = colon = NULL; /* an IPv6 address without [ ] */
	size_t n = end ? (size_t)(end - from) : strlen(from);
	if (n == 0 || n >= 256 || (colon && (*colon != ':' || strlen(colon + 1) > 5 || !colon[1])))
		return false;
	memcpy(host, from, n);
	host[n] = '\0';
	snprintf(port, 6, "%s", colon ? colon + 1 : PORT);
	return true;
}

int socket_open(const char *target, int *fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV }, *found;
	char host[256], port[6];
	if (!split(target, host, port))
		return complain("\"%s\": expected HOST, HOST:PORT or [ADDRESS]:PORT", target);
	int error = getaddrinfo(host, port, &hints, &found);
	if (error)
		return complain("%s: %s", target, gai_strerror(error));
	int s = socket(found->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s < 0 || connect(s, found->ai_addr, found->ai_addrlen) != 0) {
		complain("%s: %s", target, strerror(errno));
		if (s >= 0)
			close(s);
		s = -1;
	}
	freeaddrinfo(found);
	*fd = s;
	return s < 0 ? -1 : 0;
}
