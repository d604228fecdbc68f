/* SPDX-License-Identifier: Apache-2.0 */
/* <errno.h> with what Windows lacks. Those of the interface have the numbers of dsm.h. */
#ifndef DSM_LIB_PORT_ERRNO_H
#define DSM_LIB_PORT_ERRNO_H

#include <errno.h>

#ifdef _WIN32
#ifndef ESTALE
#define ESTALE 170
#endif
#ifndef EUSERS
#define EUSERS 168
#endif
#define EKEYREJECTED EACCES
#endif

#endif
