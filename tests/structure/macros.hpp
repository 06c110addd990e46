// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Macros of headers that a program may include before vrfm's: X11, curses, Qt, <complex.h>, glibc and
// Windows. vrfm's headers must compile after them, so none of these is a name of vrfm's. What the
// libraries that vrfm uses cannot stand is not here.
#pragma once

// X11/X.h, X11/Xlib.h, X11/Xutil.h
#define Above 0
#define AllocAll 1
#define AllocNone 0
#define Always 2
#define Below 1
#define Bool int
#define Button1 1
#define Complex 0
#define ControlMask (1 << 2)
#define Convex 2
#define CurrentTime 0L
#define CursorShape 0
#define DefaultScreen(display) ((display)->default_screen)
#define DestroyAll 0
#define False 0
#define FocusIn 9
#define FocusOut 10
#define GrayScale 1
#define KeyPress 2
#define KeyRelease 3
#define LSBFirst 0
#define LineSolid 0
#define MSBFirst 1
#define Nonconvex 1
#define None 0L
#define Opposite 4
#define StaticColor 2
#define Status int
#define Success 0
#define True 1
#define TrueColor 4
#define Unsorted 0
#define XValue 1

// curses.h
#define ERR (-1)
#define OK (0)
#define FALSE 0
#define TRUE 1
#define A_BOLD 1
#define COLOR_RED 1
#define addch(ch) waddch(stdscr, (ch))
#define border(ls, rs, ts, bs, tl, tr, bl, br) wborder(stdscr, ls, rs, ts, bs, tl, tr, bl, br)
#define delch() wdelch(stdscr)
#define echochar(ch) wechochar(stdscr, (ch))
#define getch() wgetch(stdscr)
#define hline(ch, n) whline(stdscr, (ch), (n))
#define inch() winch(stdscr)
#define insch(ch) winsch(stdscr, (ch))
#define scrl(n) wscrl(stdscr, (n))
#define scroll(window) wscrl((window), 1)
#define standout() wstandout(stdscr)
#define timeout(delay) wtimeout(stdscr, (delay))
#define vline(ch, n) wvline(stdscr, (ch), (n))

// Qt
#define emit
#define foreach(variable, container) for (variable : container)
#define forever for (;;)
#define signals public
#define slots

// complex.h, sys/sysmacros.h, sys/param.h, sys/queue.h, termios.h, assert.h, math.h
#define I _Complex_I
#define complex _Complex
#define imaginary _Imaginary
#define major(device) gnu_dev_major(device)
#define makedev(major_number, minor_number) gnu_dev_makedev(major_number, minor_number)
#define minor(device) gnu_dev_minor(device)
#define roundup(x, y) ((((x) + ((y)-1)) / (y)) * (y))
#define howmany(x, y) (((x) + ((y)-1)) / (y))
#define isset(a, i) ((a)[(i) / 8] & (1 << ((i) % 8)))
#define setbit(a, i) ((a)[(i) / 8] |= 1 << ((i) % 8))
#define ECHO 8
#define B0 0
#define DOMAIN 1
#define OVERFLOW 3
#define UNDERFLOW 4
#define PLOSS 6

// windows.h and what it includes
#undef min
#undef max
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define CALLBACK
#define CONST const
#define DELETE 0x10000L
#define DIFFERENCE 11
#define ERROR 0
#define FAR
#define IN
#define NEAR
#define OPTIONAL
#define OUT
#define STRICT 1
#define VOID void
#define far
#define interface struct
#define near
#define small char
