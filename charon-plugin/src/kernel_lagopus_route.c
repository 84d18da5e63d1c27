/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel_lagopus_route.h"

#include <daemon.h>

typedef struct route_user_t route_user_t;

/**
 * Where a route leads
 */
struct hop_t {
	/** TRUE if it excludes its destination from our table */
	bool pass;
	/** interface, NULL if none */
	char *interface;
	/** preferred source, %any if none */
	host_t *src;
	/** next hop, NULL if none */
	host_t *gateway;
};

/**
 * A policy that wants a route
 */
struct route_user_t {
	/** type of policy */
	policy_type_t type;
	/** local traffic selector */
	traffic_selector_t *src_ts;
};

static void hop_destroy(hop_t *this)
{
	if (this)
	{
		DESTROY_IF(this->src);
		DESTROY_IF(this->gateway);
		free(this->interface);
		free(this);
	}
}

static bool host_equals(host_t *a, host_t *b)
{
	return (!a && !b) || (a && b && a->ip_equals(a, b));
}

static bool hop_equals(hop_t *a, hop_t *b)
{
	return (!a && !b) ||
		   (a && b && a->pass == b->pass && streq(a->interface, b->interface) &&
			host_equals(a->src, b->src) && host_equals(a->gateway, b->gateway));
}

static void user_destroy(route_user_t *this)
{
	this->src_ts->destroy(this->src_ts);
	free(this);
}

/**
 * Check if a traffic selector is for all protocols and ports
 */
static bool is_for_all(traffic_selector_t *ts)
{
	return !ts->get_protocol(ts) && ts->get_from_port(ts) == 0 &&
		   ts->get_to_port(ts) == UINT16_MAX;
}

/*
 * Described in header.
 */
bool route_is_wanted(kernel_ipsec_policy_id_t *id,
					 kernel_ipsec_manage_policy_t *data)
{
	host_t *net;
	uint8_t prefixlen;
	bool exact;

	if (id->dir != POLICY_OUT || id->if_id || id->mark.mask)
	{	/* with an interface ID or a mark, routes to that interface decide */
		return FALSE;
	}
	switch (data->type)
	{
		case POLICY_IPSEC:
			/* in transport mode the peer itself: IKE and ESP are marked, and
			 * take the other routes */
			return TRUE;
		case POLICY_DROP:
			return TRUE;
		case POLICY_PASS:
			exact = id->dst_ts->to_subnet(id->dst_ts, &net, &prefixlen);
			net->destroy(net);
			return exact && is_for_all(id->src_ts) && is_for_all(id->dst_ts);
	}
	return FALSE;
}

/**
 * Find a local address to prefer as source: a virtual IP if there is one.
 * Gateways that have none in the networks behind them route without.
 */
static host_t *get_source(route_t *route)
{
	enumerator_t *enumerator;
	route_user_t *user;
	host_t *src = NULL, *found;
	bool is_virtual = FALSE;

	enumerator = route->users->create_enumerator(route->users);
	while (!is_virtual && enumerator->enumerate(enumerator, &user))
	{
		if (charon->kernel->get_address_by_ts(charon->kernel, user->src_ts,
											&found, &is_virtual) == SUCCESS)
		{
			if (is_virtual || !src)
			{
				DESTROY_IF(src);
				src = found;
			}
			else
			{
				found->destroy(found);
			}
		}
	}
	enumerator->destroy(enumerator);
	return src ?: host_create_any(route->net->get_family(route->net));
}

/**
 * Determine where a route has to lead
 *
 * @return			hop, NULL if there has to be none
 */
static hop_t *get_hop(route_t *route, char *interface)
{
	enumerator_t *enumerator;
	route_user_t *user;
	bool pass = FALSE;
	hop_t *hop;

	enumerator = route->users->create_enumerator(route->users);
	while (!pass && enumerator->enumerate(enumerator, &user))
	{
		pass = user->type == POLICY_PASS;
	}
	enumerator->destroy(enumerator);

	if (!route->users->get_count(route->users) || (!pass && !interface))
	{
		return NULL;
	}
	INIT(hop,
		.pass = pass,
		.src = get_source(route),
	);
	if (pass)
	{
		hop->gateway = charon->kernel->get_nexthop(charon->kernel, route->net,
												   route->prefixlen, hop->src,
												   &hop->interface);
	}
	else
	{
		hop->interface = strdup(interface);
	}
	return hop;
}

/**
 * Install or remove a route
 */
static bool manage_route(route_t *route, hop_t *hop, bool add)
{
	chunk_t net = route->net->get_address(route->net);
	status_t status;

	DBG2(DBG_KNL, "%s route %H/%d%s src %H dev %s", add ? "adding" : "removing",
		 route->net, route->prefixlen, hop->pass ? " (pass)" : "", hop->src,
		 hop->interface ?: "none");
	if (add)
	{
		status = charon->kernel->add_route(charon->kernel, net,
									route->prefixlen, hop->gateway, hop->src,
									hop->interface, hop->pass);
	}
	else
	{
		status = charon->kernel->del_route(charon->kernel, net,
									route->prefixlen, hop->gateway, hop->src,
									hop->interface, hop->pass);
	}
	return status == SUCCESS || status == ALREADY_DONE;
}

/*
 * Described in header.
 */
void route_update(route_t *this, char *interface)
{
	hop_t *hop = get_hop(this, interface), *old = this->installed;
	bool failed = FALSE;

	if (hop_equals(hop, old))
	{
		this->failed = FALSE;
		hop_destroy(hop);
		return;
	}
	/* the new one first, it replaces the old one in a single step */
	if (hop && !manage_route(this, hop, TRUE))
	{
		failed = TRUE;
		if (!this->failed)
		{
			DBG1(DBG_KNL, "installing route to %H/%d via %s failed, will try "
				 "again", this->net, this->prefixlen, hop->interface ?: "?");
		}
		hop_destroy(hop);
		hop = old;
	}
	this->failed = failed;
	if (hop != old)
	{
		if (old && !manage_route(this, old, FALSE))
		{
			DBG1(DBG_KNL, "removing route to %H/%d via %s failed", this->net,
				 this->prefixlen, old->interface ?: "?");
		}
		hop_destroy(old);
		this->installed = hop;
	}
}

/*
 * Described in header.
 */
void route_add_user(route_t *this, policy_type_t type,
					traffic_selector_t *src_ts)
{
	route_user_t *user;

	INIT(user,
		.type = type,
		.src_ts = src_ts->clone(src_ts),
	);
	this->users->insert_last(this->users, user);
}

/*
 * Described in header.
 */
bool route_remove_user(route_t *this, policy_type_t type,
					   traffic_selector_t *src_ts)
{
	enumerator_t *enumerator;
	route_user_t *user;

	enumerator = this->users->create_enumerator(this->users);
	while (enumerator->enumerate(enumerator, &user))
	{
		if (user->type == type && user->src_ts->equals(user->src_ts, src_ts))
		{
			this->users->remove_at(this->users, enumerator);
			user_destroy(user);
			break;
		}
	}
	enumerator->destroy(enumerator);
	return this->users->get_count(this->users) == 0;
}

/*
 * Described in header.
 */
void route_remove_users(route_t *this)
{
	route_user_t *user;

	while (this->users->remove_last(this->users, (void**)&user) == SUCCESS)
	{
		user_destroy(user);
	}
}

/*
 * Described in header.
 */
void route_destroy(route_t *this)
{
	route_remove_users(this);
	this->users->destroy(this->users);
	hop_destroy(this->installed);
	this->net->destroy(this->net);
	free(this);
}

/*
 * Described in header.
 */
route_t *route_create(host_t *net, uint8_t prefixlen)
{
	route_t *this;

	INIT(this,
		.net = net,
		.prefixlen = prefixlen,
		.users = linked_list_create(),
	);
	/* charon sets the port if the selector is for a single one */
	net->set_port(net, 0);
	return this;
}
