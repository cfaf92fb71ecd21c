/*
 * protocol.h - what submitd-send asks of submitd-local (socket "local" in its
 * folder, lib/msg.h packets, calls of lib/ipc.h).
 *
 *	LOCAL_DELIVER  str queue_id, str sender, str address, u64 offset,
 *	               u64 octets; +fd of the message, read-only
 *	reply (type | LOCAL_REPLY): u8 result, str text
 *
 * The message has CR LF line ends; the file in the Maildir has LF, with
 * Return-Path and Delivered-To in front.
 */
#ifndef SUBMITD_LOCAL_PROTOCOL_H
#define SUBMITD_LOCAL_PROTOCOL_H

#define LOCAL_REPLY	0x8000u

enum { LOCAL_DELIVER = 1 };

enum local_result {
	LOCAL_DONE = 0,		/* in the Maildir, durable */
	LOCAL_DEFER,		/* try again later */
	LOCAL_FAIL,		/* there is no such user any more */
};

#define LOCAL_TEXT_MAX 512u

#endif
