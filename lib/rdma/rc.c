/* SPDX-License-Identifier: Apache-2.0 */
/* Making and connecting pairs; the side that is called. rc_dial.c has the side that calls. */
#include "rdma/rc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

#define REMOTE_BITS ((unsigned)(IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | \
	IBV_ACCESS_REMOTE_ATOMIC))
/* How long a peer that finds no RECV shall wait: 2.56 ms. It never should find none. */
#define RNR_TIMER 16

static int failed(const char *what, int error)
{
	error = error < 0 ? errno : error; /* librdmacm: -1 and errno; libibverbs: the number itself */
	return dsm__fail(error ? -error : -EIO, "rdma: %s: %s", what, strerror(error ? error : EIO));
}

int rc_make(struct rdma_cm_id *id, const struct rc_shape *shape, struct ibv_qp **out)
{
	struct ibv_qp_init_attr init = { .send_cq = shape->send_cq, .recv_cq = shape->recv_cq,
		.qp_type = IBV_QPT_RC, .cap = { .max_send_wr = shape->sends,
		.max_recv_wr = shape->recvs, .max_send_sge = 1, .max_recv_sge = 1 } };
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT };
	int mask;
	init.cap.max_inline_data = shape->inline_bytes;
	struct ibv_qp *qp = ibv_create_qp(shape->pd, &init);
	if (!qp && shape->inline_bytes) { /* the device does not take so many: then none */
		init.cap.max_inline_data = 0;
		qp = ibv_create_qp(shape->pd, &init);
	}
	if (!qp)
		return failed("cannot make a queue pair", -1);
	int rc = rdma_init_qp_attr(id, &attr, &mask);
	attr.qp_access_flags = (unsigned)shape->access;
	if (rc == 0)
		rc = ibv_modify_qp(qp, &attr, mask | IBV_QP_ACCESS_FLAGS);
	if (rc) {
		rc = failed("cannot prepare a queue pair", rc);
		ibv_destroy_qp(qp);
		return rc;
	}
	*out = qp;
	return 0;
}

uint32_t rc_inline(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = { 0 };
	struct ibv_qp_init_attr init = { 0 };
	return ibv_query_qp(qp, &attr, IBV_QP_CAP, &init) ? 0 : init.cap.max_inline_data;
}

void rc_destroy(struct ibv_qp **qp)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	if (!*qp)
		return;
	ibv_modify_qp(*qp, &attr, IBV_QP_STATE);
	ibv_destroy_qp(*qp);
	*qp = NULL;
}

int rc_check_access(struct ibv_qp *qp, int access)
{
	struct ibv_qp_attr attr = { 0 };
	struct ibv_qp_init_attr init;
	int rc = ibv_query_qp(qp, &attr, IBV_QP_ACCESS_FLAGS | IBV_QP_STATE, &init);
	if (rc)
		return failed("cannot ask a queue pair for its rights", rc);
	if ((attr.qp_access_flags & REMOTE_BITS) != ((unsigned)access & REMOTE_BITS))
		return dsm__fail(-EPROTO, "rdma: the device gives a peer the rights %#x where %#x were set",
			attr.qp_access_flags & REMOTE_BITS, (unsigned)access & REMOTE_BITS);
	return 0;
}

int rc_set_access(struct ibv_qp *qp, int access)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS, .qp_access_flags = (unsigned)access };
	int rc = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_ACCESS_FLAGS);
	return rc ? failed("cannot set a queue pair's rights", rc) : rc_check_access(qp, access);
}

int rc_up(struct rdma_cm_id *id, struct ibv_qp *qp, uint8_t serves, uint8_t starts)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTR };
	int mask;
	int rc = rdma_init_qp_attr(id, &attr, &mask);
	attr.max_dest_rd_atomic = serves;
	attr.min_rnr_timer = RNR_TIMER;
	if (rc == 0)
		rc = ibv_modify_qp(qp, &attr, mask);
	if (rc)
		return failed("cannot make a queue pair receive", rc);
	attr = (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTS };
	rc = rdma_init_qp_attr(id, &attr, &mask);
	attr.max_rd_atomic = starts;
	attr.timeout = RC_ACK_TIMEOUT;
	attr.retry_cnt = RC_RETRIES;
	attr.rnr_retry = RC_RNR_RETRIES;
	if (rc == 0)
		rc = ibv_modify_qp(qp, &attr, mask);
	return rc ? failed("cannot make a queue pair send", rc) : 0;
}

static uint8_t least(unsigned a, unsigned b, unsigned c)
{
	unsigned n = a < b ? a : b;
	n = n < c ? n : c;
	return (uint8_t)(n < 255 ? n : 255);
}

int rc_accept(struct rdma_cm_id *id, struct ibv_qp *qp, const struct rdma_conn_param *asked,
	uint8_t reads, const struct verbs_reply *reply)
{
	unsigned char bytes[VERBS_REPLY_BYTES];
	struct ibv_device_attr device;
	int rc = ibv_query_device(qp->context, &device);
	if (rc)
		return failed("cannot ask the device for its limits", rc);
	uint8_t serves = least(asked->responder_resources, (unsigned)device.max_qp_rd_atom, reads);
	uint8_t starts = least(asked->initiator_depth, (unsigned)device.max_qp_init_rd_atom, 1);
	rc = rc_up(id, qp, serves, starts);
	if (rc)
		return rc;
	verbs_put_reply(bytes, reply);
	struct rdma_conn_param param = { .private_data = bytes, .private_data_len = sizeof(bytes),
		.responder_resources = serves, .initiator_depth = starts,
		.retry_count = RC_RETRIES, .rnr_retry_count = RC_RNR_RETRIES, .qp_num = qp->qp_num };
	rc = rdma_accept(id, &param);
	return rc ? failed("cannot accept a connection", rc) : 0;
}

void rc_reject(struct rdma_cm_id *id, int status, const char *text)
{
	unsigned char bytes[VERBS_REJECT_MAX];
	struct verbs_reject reject = { .status = status };
	snprintf(reject.text, sizeof(reject.text), "%s", text);
	rdma_reject(id, bytes, (uint8_t)verbs_put_reject(bytes, &reject));
}

static bool port_active(struct ibv_context *verbs, uint8_t port)
{
	struct ibv_port_attr attr;
	return ibv_query_port(verbs, port, &attr) == 0 && attr.state == IBV_PORT_ACTIVE;
}

bool rc_may_speak(struct ibv_context *verbs, uint8_t port, uint64_t now, uint64_t *trouble_ns)
{
	if (!port_active(verbs, port))
		*trouble_ns = now;
	return now - *trouble_ns >= RC_SILENCE_NS;
}

int rc_wc_error(enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_SUCCESS:
		return 0;
	case IBV_WC_WR_FLUSH_ERR:
	case IBV_WC_REM_ABORT_ERR:
		return -ECONNRESET;
	case IBV_WC_RETRY_EXC_ERR:
	case IBV_WC_RESP_TIMEOUT_ERR:
		return -ETIMEDOUT;
	case IBV_WC_RNR_RETRY_EXC_ERR:
		return -EBUSY;
	case IBV_WC_REM_ACCESS_ERR:
	case IBV_WC_REM_INV_REQ_ERR:
	case IBV_WC_REM_INV_RD_REQ_ERR:
		return -EACCES;
	default: /* our own work was wrong, or the device is */
		return -EIO;
	}
}
