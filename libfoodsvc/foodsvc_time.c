/*
 * Times: text of ISO 8601 <-> milliseconds since the epoch, by the proleptic Gregorian calendar.
 */
#include <stdio.h>
#include <time.h>
#include "foodsvc_time.h"

#define MS_PER_DAY  INT64_C(86400000)
#define FIRST_MS    INT64_C(-62167219200000)    /* 0000-01-01T00:00:00.000Z */
#define LAST_MS     INT64_C(253402300799999)    /* 9999-12-31T23:59:59.999Z */

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t foodsvc_time_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

bool foodsvc_time_is_ahead(int64_t when, int64_t now)
{
    return when > now + FOODSVC_TIME_AHEAD;
}

int64_t foodsvc_time_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01; years are counted from March, so that the leap day ends a year. year 0..9999 */
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = (int64_t) year + 400 - (month <= 2);    /* never negative, whole cycles of 400 years apart */
    int64_t era = y / 400;
    int64_t year_of_era = y % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return (era - 1) * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468 + 146097;                 /* the same shift */
    int64_t era = z / 146097;
    int64_t day_of_era = z % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;

    *day = (int) (day_of_year - (153 * from_march + 2) / 5 + 1);
    *month = (int) (from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (int) (year_of_era + (era - 1) * 400 + (*month <= 2));
}

static void put_digits(char *text, int n, int value)
{
    while (n > 0) {
        text[--n] = (char) ('0' + value % 10);
        value /= 10;
    }
}

char *foodsvc_time_format(int64_t ms, char text[FOODSVC_TIME_TEXT + 1])
{
    static const char shape[FOODSVC_TIME_TEXT + 1] = "0000-00-00T00:00:00.000Z";
    int64_t           days, rest;
    int               year, month, day;

    ms = ms < FIRST_MS ? FIRST_MS : ms > LAST_MS ? LAST_MS : ms;
    days = ms / MS_PER_DAY;
    rest = ms % MS_PER_DAY;
    if (rest < 0) {
        days--;
        rest += MS_PER_DAY;
    }
    date_from_days(days, &year, &month, &day);

    for (int i = 0; i <= FOODSVC_TIME_TEXT; i++) {
        text[i] = shape[i];
    }
    put_digits(text, 4, year);
    put_digits(text + 5, 2, month);
    put_digits(text + 8, 2, day);
    put_digits(text + 11, 2, (int) (rest / 3600000));
    put_digits(text + 14, 2, (int) (rest / 60000 % 60));
    put_digits(text + 17, 2, (int) (rest / 1000 % 60));
    put_digits(text + 20, 3, (int) (rest % 1000));
    return text;
}

/* What is left of a text to read. */
typedef struct {
    const char *p;
    const char *end;
} reader_t;

static bool take_char(reader_t *reader, char c)
{
    if (reader->p == reader->end || *reader->p != c) {
        return false;
    }
    reader->p++;
    return true;
}

/* Exactly n digits with a value from min to max. */
static bool take_number(reader_t *reader, int n, int min, int max, int *value)
{
    *value = 0;
    for (int i = 0; i < n; i++) {
        if (reader->p == reader->end || *reader->p < '0' || *reader->p > '9') {
            return false;
        }
        *value = *value * 10 + (*reader->p++ - '0');
    }
    return *value >= min && *value <= max;
}

/* ".fraction" or nothing; digits past the milliseconds are dropped. */
static bool take_fraction(reader_t *reader, int *ms)
{
    int digits = 0, scale = 100, digit;

    *ms = 0;
    if (!take_char(reader, '.')) {
        return true;
    }
    while (digits < 9 && take_number(reader, 1, 0, 9, &digit)) {
        *ms += digit * scale;
        scale /= 10;
        digits++;
    }
    return digits > 0;
}

/* "Z", "+HH:MM", "+HHMM", "+HH" or nothing. */
static bool take_zone(reader_t *reader, int *minutes)
{
    int sign, h, m = 0;

    *minutes = 0;
    if (reader->p == reader->end || take_char(reader, 'Z') || take_char(reader, 'z')) {
        return true;
    }
    if (take_char(reader, '+')) {
        sign = 1;
    } else if (take_char(reader, '-')) {
        sign = -1;
    } else {
        return false;
    }
    if (!take_number(reader, 2, 0, 23, &h)) {
        return false;
    }
    if (take_char(reader, ':') || reader->p != reader->end) {
        if (!take_number(reader, 2, 0, 59, &m)) {
            return false;
        }
    }
    *minutes = sign * (h * 60 + m);
    return true;
}

bool foodsvc_time_parse(const char *text, size_t len, int64_t *ms)
{
    reader_t reader = { text, text + len };
    int      year, month, day, h, m, s, fraction, zone;

    if (!take_number(&reader, 4, 0, 9999, &year) || !take_char(&reader, '-')
        || !take_number(&reader, 2, 1, 12, &month) || !take_char(&reader, '-')
        || !take_number(&reader, 2, 1, days_in_month(year, month), &day)
        || !(take_char(&reader, 'T') || take_char(&reader, 't') || take_char(&reader, ' '))
        || !take_number(&reader, 2, 0, 23, &h) || !take_char(&reader, ':')
        || !take_number(&reader, 2, 0, 59, &m) || !take_char(&reader, ':')
        || !take_number(&reader, 2, 0, 59, &s) || !take_fraction(&reader, &fraction)
        || !take_zone(&reader, &zone) || reader.p != reader.end)
    {
        return false;
    }
    *ms = days_from_date(year, month, day) * MS_PER_DAY + ((h * 60 + m - zone) * 60 + s) * INT64_C(1000) + fraction;
    return true;
}
