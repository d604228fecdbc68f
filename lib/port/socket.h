/* SPDX-License-Identifier: Apache-2.0 */
/* The system's headers of addresses and names of hosts: getaddrinfo(), inet_pton() and their structures
 * are alike everywhere. */
#ifndef DSM_LIB_PORT_SOCKET_H
#define DSM_LIB_PORT_SOCKET_H

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#undef near /* words of 16-bit times */
#undef far
#else
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#endif

#endif
