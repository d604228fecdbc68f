/* SPDX-License-Identifier: Apache-2.0 */
/* Which users may do something. Names are resolved once, when the engine starts. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "engine/engine.h"

static int add_user(struct access *a, const char *name)
{
	char *end, room[4096];
	struct passwd entry, *found = NULL;
	unsigned long number = strtoul(name, &end, 10);
	uid_t uid = (uid_t)number;
	if (end == name || *end) {
		getpwnam_r(name, &entry, room, sizeof(room), &found);
		if (!found)
			return dsm__fail(-EINVAL, "user \"%s\" is not known on this machine", name);
		uid = found->pw_uid;
	}
	uid_t *more = realloc(a->uids, (a->count + 1) * sizeof(*more));
	if (!more)
		return dsm__fail(-ENOMEM, "no memory for a list of users");
	a->uids = more;
	a->uids[a->count++] = uid;
	return 0;
}

int access_parse(const char *users, struct access *out)
{
	*out = (struct access){ 0 };
	if (!users || !users[0])
		return 0;
	if (strcmp(users, "*") == 0) {
		out->everybody = true;
		return 0;
	}
	char *list = strdup(users), *save = NULL;
	int rc = list ? 0 : dsm__fail(-ENOMEM, "no memory for a list of users");
	for (char *name = list ? strtok_r(list, ", ", &save) : NULL; rc == 0 && name;
	     name = strtok_r(NULL, ", ", &save))
		rc = add_user(out, name);
	free(list);
	if (rc)
		access_free(out);
	return rc;
}

void access_free(struct access *a)
{
	free(a->uids);
	*a = (struct access){ 0 };
}

bool access_allows(const struct access *a, uid_t uid)
{
	if (a->everybody || uid == geteuid() || uid == 0)
		return true;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->uids[i] == uid)
			return true;
	return false;
}
