#include "drops.h"

#include <stddef.h>

#define REPORT_INTERVAL_MS 1000

const char *const drop_names[DROP_COUNT] = {
#define NAME(name) #name,
	DROP_REASONS(NAME)
#undef NAME
};

void drops_count(struct drops *drops, enum drop_reason reason, const struct drop_packet *packet, uint64_t now_ms)
{
	struct drop_report *report = &drops->reports[reason];

	drops->counts[reason]++;
	if (!packet) {
		return;
	}
	if (report->is_pending || (report->reported_ms != 0 && now_ms - report->reported_ms < REPORT_INTERVAL_MS)) {
		report->left_out++;
		return;
	}
	report->reported_ms = now_ms;
	report->packet = *packet;
	report->is_pending = true;
	drops->is_pending = true;
}
