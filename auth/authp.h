/*
 * authp.h - numbers and limits of authd's protocol; see auth/PROTOCOL.
 */
#ifndef SUBMITD_AUTHP_H
#define SUBMITD_AUTHP_H

#define AUTHP_REPLY	0x8000u

enum authp_type {
	AUTHP_SESSION = 1,
	AUTHP_SASL_START,
	AUTHP_SASL_STEP,
	AUTHP_SASL_CANCEL,
	AUTHP_MAIL,
	AUTHP_RCPT,
	AUTHP_TICKET,
	AUTHP_MAILDROP,
	AUTHP_DELIVER,
	AUTHP_APOP,
	AUTHP_WHO_ENTRY,
	AUTHP_WHO_END,
	AUTHP_FROM = 13,
	AUTHP_EVENT = 14,
	AUTHP_USERS = 15,
	AUTHP__COUNT
};

/* What authd says without being asked; their message id is 0. */
enum authp_notice {
	AUTHP_STATE = 64,
	AUTHP_KICK,
	AUTHP_WHO,
	AUTHP_USER,
};

/* USERS and USER: may what he has queued go out? */
enum authp_user {
	AUTHP_USER_MAY = 0,
	AUTHP_USER_DISABLED,	/* or his sending is */
	AUTHP_USER_NONE,	/* there is no such user (any more) */
	AUTHP_USER_UNKNOWN,	/* the database does not say; or ask again */
	AUTHP_USER__COUNT
};

enum authp_service { AUTHP_SMTP = 1, AUTHP_POP = 2 };

enum authp_phase {
	AUTHP_BEGIN = 0,
	AUTHP_COMMIT,
	AUTHP_ABORT,
	AUTHP_WHOLE,		/* begin and commit in one */
	AUTHP_TAKE_BACK,	/* booked, and not kept after all */
	AUTHP_PHASE__COUNT
};

/* Which sending limit; as enum quota_which (auth/quota_window.h). */
enum authp_limit {
	AUTHP_MESSAGES_HOUR,
	AUTHP_MESSAGES_DAY,
	AUTHP_RECIPIENTS_HOUR,
	AUTHP_RECIPIENTS_DAY,
	AUTHP_LIMIT__COUNT
};

/* How the right to send was come by. */
enum authp_kind {
	AUTHP_KIND_SASL = 1,
	AUTHP_KIND_GRANT,
	AUTHP_KIND_NETWORK,
	AUTHP_KIND_RECEIVE,	/* nobody's right to send: mail for local users,
				 * from an MTA here by LMTP */
	AUTHP_KIND__COUNT
};

/* FROM: what an address of the header is to who sends. */
enum authp_owned {
	AUTHP_OWNED_NO = 0,
	AUTHP_OWNED_YES,
	AUTHP_OWNED_LOGGED,	/* not his, but sender_policy is log */
	AUTHP_OWNED_STRANGER,	/* not his, nor anybody's here */
	AUTHP_OWNED__COUNT
};

enum authp_verdict {
	AUTHP_OK = 0,
	AUTHP_CONTINUE,		/* the exchange wants another response */
	AUTHP_BADCRED,		/* 535 5.7.8: whatever was wrong with it */
	AUTHP_TEMP,		/* 454 4.7.0, 451, [SYS/TEMP] */
	AUTHP_NOAUTH,		/* 530 5.7.0: no authorisation */
	AUTHP_NOTSENDER,	/* 553 5.7.1: authorised, not for this sender */
	AUTHP_VOID,		/* 421: the ticket does not hold any more */
	AUTHP_NOUSER,		/* 550 5.1.1 */
	AUTHP_BADMECH,		/* 504 5.5.4: not among those offered */
	AUTHP_NOINITIAL,	/* 501: an initial response to a mechanism in
				 * which the server speaks first */
	AUTHP_MALFORMED,	/* 501 5.5.2: the response cannot be read */
	AUTHP_TRANSITION,	/* 432 4.7.12: log in once with PLAIN */
	AUTHP_LIMIT,		/* 452 4.7.1 or 550 5.7.1: too much sent */
	AUTHP_BROWNOUT,		/* 450 4.7.1: by a grant, which is refused for
				 * now */
	AUTHP_VERDICT__COUNT
};

/* What a session that is over was like (EVENT). */
enum authp_past {
	AUTHP_PAST_HANDSHAKE = 1 << 0,	/* it ended within a handshake */
	AUTHP_PAST_EHLO_CLEAR = 1 << 1,	/* EHLO was said in clear */
	AUTHP_PAST_MASKED = 1 << 2,	/* a command came as XXXX */
	AUTHP_PAST_AUTH_CLEAR = 1 << 3,	/* a login was tried in clear */
	AUTHP_PAST_LOGIN_FAILED = 1 << 4,
	AUTHP_PAST_LOGIN = 1 << 5,	/* a login was tried under TLS */
	AUTHP_PAST_PART = 1 << 6,	/* it goes on, more is told later */
	AUTHP_PAST_STARTTLS = 1 << 7,	/* TLS was begun on a clear port */
	AUTHP_PAST__ALL = (1 << 8) - 1
};

#define AUTHP_STATUS_MAX	15u
#define AUTHP_WHY_MAX		47u
#define AUTHP_TEXT_MAX		255u
#define AUTHP_HELO_MAX		64u
#define AUTHP_SENT_MAX		2048u

/* NOAUTH: why, as far as the person at the client should know. */
enum authp_hint {
	AUTHP_HINT_NONE = 0,	/* logging in is the only way */
	AUTHP_HINT_CHECK,	/* no mail was fetched from there of late */
	AUTHP_HINT_EXPIRED,	/* it was, but too long ago */
	AUTHP_HINT_FAMILY,	/* it was, over the other IP family */
	AUTHP_HINT_SUNSET,	/* fetching mail first has ended here */
	AUTHP_HINT__COUNT
};

#define AUTHP_HANDLE_MAX	256u
#define AUTHP_TICKET_MAX	1024u
#define AUTHP_SID_MAX		32u
#define AUTHP_TLS_MAX		95u
#define AUTHP_MECH_MAX		32u
#define AUTHP_BINDING_MAX	32u	/* the name of a channel binding */
#define AUTHP_BINDING_DATA_MAX	64u
#define AUTHP_CERT_SIZE		32u	/* SHA-256 of a certificate's DER */
#define AUTHP_NAME_MAX		255u	/* APOP: as the client gave it */
#define AUTHP_CHALLENGE_MAX	320u	/* APOP: "<SID.SECONDS@HOSTNAME>" */
#define AUTHP_DIGEST_SIZE	16u
#define AUTHP_ADDRESS_MAX	63u	/* an IP address in text */
#define AUTHP_ORIGIN_MAX	480u	/* auth/origin.h */
#define AUTHP_BROWNOUT_MAX	420u	/* what a person reads */
#define AUTHP_RESP_MAX		9216u	/* 12,288 octets of base64 */
#define AUTHP_USER_MAX		254u
#define AUTHP_SENDER_MAX	254u
#define AUTHP_USERS_MAX		100u	/* of one question */
#define AUTHP_FROM_MAX		202u	/* addresses of one header */
#define AUTHP_PATH_MAX		511u
#define AUTHP_EXCHANGES_MAX	4096u
#define AUTHP_EXCHANGE_S	300

#endif
