/* SPDX-License-Identifier: Apache-2.0 */
/* The control channel spoken by hand, for tests that are not the library. */
#ifndef DSM_TESTS_RAW_H
#define DSM_TESTS_RAW_H

#include <stddef.h>

/* One message, waited for at most five seconds; descriptors that come with it are closed. Bytes,
 * 0 = the peer is gone, or a negative errno. */
int raw_receive(int fd, void *message, size_t room);

#endif
