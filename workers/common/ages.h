/*
 * How long what is owed may stand before somebody other than its owner looks after it: sweepd's defaults, and what
 * foodctl stuck goes by. In seconds.
 */
#ifndef AGES_H
#define AGES_H

#define AGE_OWES    15      /* an order that owes something */
#define AGE_CARD    120     /* the card company's report: PaymentService's foodsvc_callback_wait, unless that is set */
#define AGE_CALLBACK  150   /* what the card company has not reported on; more than foodsvc_callback_wait */
#define AGE_OUTBOX  5       /* an event that PaymentService has stored and RabbitMQ has not confirmed */

/* An age as a setting's default: "15s". */
#define AGE_TEXT(age)   AGE_TEXT_OF(age)
#define AGE_TEXT_OF(s)  #s "s"

#endif
