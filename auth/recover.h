/*
 * recover.h - authd-core --recover FOLDER [--fatal]: see authd(8).
 */
#ifndef SUBMITD_AUTH_RECOVER_H
#define SUBMITD_AUTH_RECOVER_H

/* The whole process in that mode; returns its exit code. */
int	recover_main(int argc, char **argv);

#endif
