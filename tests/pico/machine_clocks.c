/* SPDX-License-Identifier: Apache-2.0 */
/* Chapter 7, Resets; chapter 8, Clocks; 12.8, System timers; 12.9, Watchdog; 6.4, CHIP_RESET. */
#include "machine.h"

#define XTAL_HZ 12000000ull
#define ROSC_HZ 11000000ull
#define RESETS_ALL 0x1fffffffu
/* what the bootrom leaves running: it came from flash */
#define RESETS_LEFT (RESETS_ALL & ~(1u << 7 | 1u << 10))
#define NEEDS_PERI (1u << B_SPI0 | 1u << B_UART0)

static bool xosc_stable(const struct machine *m)
{
	return m->xosc_ctrl == ((0xfabu << 12) | 0xaa0u) &&
		m->now_ps >= m->xosc_ps + (m->xosc_startup & 0x3fff) * 256ull * 1000000000000ull / XTAL_HZ;
}

/* Section 8.6: reference x feedback / post dividers */
static uint64_t pll_hz(const struct machine *m, unsigned i)
{
	const struct pll_model *p = &m->pll[i];
	uint32_t post = (p->prim >> 16 & 7) * (p->prim >> 12 & 7);
	if (p->pwr & (1u << 0 | 1u << 3 | 1u << 5) || m->now_ps < p->lock_ps || !post || !(p->cs & 63))
		return 0;
	return XTAL_HZ / (p->cs & 63) * (p->fbdiv & 0xfff) / post;
}

static uint64_t clock_ref_hz(const struct machine *m)
{
	return (m->clk_ref_src & 3) == 2 ? XTAL_HZ : ROSC_HZ;
}

uint64_t clock_sys_hz(const struct machine *m)
{
	uint64_t hz = m->clk_sys_src & 1 ? pll_hz(m, 0) : clock_ref_hz(m);
	return hz ? hz : ROSC_HZ;
}

uint64_t clock_peri_hz(const struct machine *m)
{
	return m->clk_peri & 1u << 11 ? clock_sys_hz(m) : 0;
}

uint64_t clock_adc_hz(const struct machine *m)
{
	uint32_t div = m->clk_adc_div >> 16 & 0xf;
	return m->clk_adc & 1u << 11 ? pll_hz(m, 1) / (div ? div : 16) : 0;
}

/* Section 8.5, Tick generators: clk_ref / cycles */
static uint64_t timer_us(const struct machine *m)
{
	if (!(m->tick[0].ctrl & 1) || !m->tick[0].cycles || m->in_reset >> B_TIMER0 & 1)
		return m->timer_base_us;
	uint64_t ps = (m->now_ps - m->timer_base_ps);
	return m->timer_base_us + ps / 1000 * (clock_ref_hz(m) / 1000) / m->tick[0].cycles / 1000000;
}

static void timer_rebase(struct machine *m)
{
	m->timer_base_us = timer_us(m);
	m->timer_base_ps = m->now_ps;
}

void clocks_reset(struct machine *m, bool by_watchdog)
{
	m->in_reset = RESETS_LEFT;
	m->clk_ref_src = m->clk_sys_src = m->clk_peri = m->clk_adc = 0;
	m->clk_adc_div = 1u << 16;
	/* the crystal runs on over a reset by the watchdog if WDSEL says so */
	if (!by_watchdog || m->psm_wdsel & 1u << 3)
		m->xosc_ctrl = m->xosc_startup = 0;
	for (unsigned i = 0; i < 2; i++) {
		m->pll[i] = (struct pll_model){ .cs = 1, .pwr = 0x2d, .prim = 0x77000 };
		m->tick[i] = (struct tick_model){ 0, 0 };
	}
	m->timer_base_us = 0;
	m->timer_base_ps = m->now_ps;
	m->wd_ctrl &= ~(3u << 30);
	m->psm_wdsel = 0;
	if (!by_watchdog)
		m->wd_reason = 0;
}

bool watchdog_expired(const struct machine *m)
{
	return m->wd_ctrl & 1u << 30 && m->tick[1].ctrl & 1 && m->now_ps >= m->wd_due_ps;
}

static void watchdog_load(struct machine *m, uint32_t v)
{
	m->wd_load = v;
	if (v > 0xffffff)
		FAULT(m, "watchdog: LOAD 0x%x has more than 24 bits", v);
	uint64_t hz = m->tick[1].cycles ? clock_ref_hz(m) / m->tick[1].cycles : 1;
	m->wd_due_ps = m->now_ps + v * (1000000000000ull / (hz ? hz : 1));
}

static uint32_t pll_read(struct machine *m, unsigned i, uint32_t at)
{
	const struct pll_model *p = &m->pll[i];
	switch (at & 0xff) {
	case 0: return p->cs | (!(p->pwr & (1u << 0 | 1u << 5)) && m->now_ps >= p->lock_ps ? 1u << 31 : 0);
	case 4: return p->pwr;
	case 8: return p->fbdiv;
	default: return p->prim;
	}
}

static void pll_write(struct machine *m, unsigned i, uint32_t at, uint32_t v)
{
	struct pll_model *p = &m->pll[i];
	bool ran = !(p->pwr & (1u << 0 | 1u << 5));
	switch (at & 0xff) {
	case 0: p->cs = v & 0x13f; break;
	case 4: p->pwr = v; break;
	case 8: p->fbdiv = v; break;
	case 0xc: p->prim = v; break;
	default: FAULT(m, "PLL: write at 0x%x", at); return;
	}
	if (ran && (at & 0xff) == 8)
		FAULT(m, "PLL: the feedback divider is changed while the VCO runs");
	if (ran || p->pwr & (1u << 0 | 1u << 5))
		return;
	uint64_t vco = XTAL_HZ * p->fbdiv;
	if (!xosc_stable(m))
		FAULT(m, "PLL started before the crystal is stable");
	else if (p->fbdiv < 16 || p->fbdiv > 320 || vco < 400000000 || vco > 1600000000)
		FAULT(m, "PLL: feedback %u, VCO of %u MHz: 16 to 320, 400 to 1600 MHz", p->fbdiv, (unsigned)(vco / 1000000));
	p->lock_ps = m->now_ps + 100 * US;
}

static uint32_t resets_done(const struct machine *m)
{
	uint32_t done = ~m->in_reset & RESETS_ALL;
	if (!clock_peri_hz(m))
		done &= ~NEEDS_PERI;
	if (!clock_adc_hz(m))
		done &= ~(1u << B_ADC);
	return done;
}

static void set_resets(struct machine *m, uint32_t v)
{
	uint32_t taken = v & ~m->in_reset;
	timer_rebase(m);
	if (taken & 1u << B_PLL_SYS && m->clk_sys_src & 1)
		FAULT(m, "PLL_SYS is reset while clk_sys runs from it");
	if (taken & 1u << B_PLL_SYS)
		m->pll[0] = (struct pll_model){ .cs = 1, .pwr = 0x2d, .prim = 0x77000 };
	if (taken & 1u << B_PLL_USB)
		m->pll[1] = (struct pll_model){ .cs = 1, .pwr = 0x2d, .prim = 0x77000 };
	m->in_reset = v & RESETS_ALL;
}

uint32_t clocks_read(struct machine *m, uint32_t at)
{
	switch (at) {
	case 0x40010030: return m->clk_ref_src;
	case 0x40010038: return 1u << (m->clk_ref_src & 3);
	case 0x4001003c: return m->clk_sys_src;
	case 0x40010044: return 1u << (m->clk_sys_src & 1);
	case 0x40010048: return m->clk_peri;
	case 0x4001006c: return m->clk_adc;
	case 0x40010070: return m->clk_adc_div;
	case 0x40018008: return m->psm_wdsel;
	case 0x40020000: return m->in_reset;
	case 0x40020008: return resets_done(m);
	case 0x40048000: return m->xosc_ctrl;
	case 0x40048004: return xosc_stable(m) ? 1u << 31 : 0;
	case 0x4004800c: return m->xosc_startup;
	case 0x400b0024: return (uint32_t)(timer_us(m) >> 32);
	case 0x400b0028: return (uint32_t)timer_us(m);
	case 0x400d8000: return m->wd_ctrl;
	case 0x400d8008: return m->wd_reason;
	case 0x4010002c: return m->chip_reset;
	case 0x40108018: return m->tick[0].ctrl;
	case 0x40108030: return m->tick[1].ctrl;
	default: break;
	}
	if ((at & ~0x3fffu) == 0x40050000 || (at & ~0x3fffu) == 0x40058000)
		return pll_read(m, at >> 15 & 1, at);
	FAULT(m, "read of 0x%x, which the model does not know", at);
	return 0;
}

static void switch_sys(struct machine *m, uint32_t v)
{
	timer_rebase(m);
	m->clk_sys_src = v;
	if (!(v & 1))
		return;
	uint64_t hz = v >> 5 & 7 ? 0 : pll_hz(m, 0);
	if (!hz)
		FAULT(m, "clk_sys is switched to PLL_SYS, which does not run (locked, post dividers on?)");
	else if (hz > 150000000)
		FAULT(m, "clk_sys of %u MHz: 150 at most", (unsigned)(hz / 1000000));
}

static void write_tick(struct machine *m, uint32_t at, uint32_t v)
{
	unsigned i = at >= 0x40108030;
	timer_rebase(m);
	if ((at & 7) == 0)
		m->tick[i].ctrl = v;
	else
		m->tick[i].cycles = v;
}

void clocks_write(struct machine *m, uint32_t at, uint32_t v)
{
	switch (at) {
	case 0x40010030:
		timer_rebase(m);
		if ((v & 3) == 2 && !xosc_stable(m))
			FAULT(m, "clk_ref is switched to a crystal that is not stable");
		m->clk_ref_src = v;
		break;
	case 0x4001003c: switch_sys(m, v); break;
	case 0x40010048: m->clk_peri = v; break;
	case 0x4001006c: m->clk_adc = v; break;
	case 0x40010070: m->clk_adc_div = v; break;
	case 0x40018008: m->psm_wdsel = v; break;
	case 0x40020000: set_resets(m, v); break;
	case 0x40048000:
		m->xosc_ctrl = v;
		m->xosc_ps = m->now_ps;
		break;
	case 0x4004800c: m->xosc_startup = v; break;
	case 0x400d8000:
		if (v & 1u << 30 && !(m->wd_ctrl & 1u << 30) && !m->psm_wdsel)
			FAULT(m, "the watchdog is switched on, but PSM WDSEL lets it reset nothing");
		m->wd_ctrl = v & ~(1u << 31);
		if (v & 1u << 31) {
			m->wd_reason = 2;
			m->rebooted = true;
			uc_emu_stop(m->uc);
		}
		break;
	case 0x400d8004: watchdog_load(m, v); break;
	case 0x40108018: case 0x4010801c: case 0x40108030: case 0x40108034: write_tick(m, at, v); break;
	default:
		if ((at & ~0x3fffu) == 0x40050000 || (at & ~0x3fffu) == 0x40058000)
			pll_write(m, at >> 15 & 1, at, v);
		else
			FAULT(m, "write of 0x%x to 0x%x, which the model does not know", v, at);
	}
}
