#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Firmware that is wrong in one place, again and again: the emulated machine must catch each. That is what
# makes its yes to the right firmware worth something.
#
# Usage: TEST_MACHINE=PATH tests/pico/wrong.sh SOURCE_ROOT WORK_FOLDER
#
# Prints per variant what caught it, and "N passed, N failed" last. A change whose text is not found
# exactly once in the sources fails: then this list is behind them.

set -uo pipefail
: "${TEST_MACHINE:?}"
root=$1 work=$2
export PICO_KEEP_OBJECTS=1
passed=0 failed=0

# variant NAME SCENARIO FILE FROM TO: builds the firmware with FROM replaced by TO, runs the scenario.
variant() {
	local name=$1 scenario=$2 file=$3 from=$4 to=$5 text rest
	text=$(<"$root/$file")
	rest=${text#*"$from"}
	if [ "$rest" = "$text" ] || [[ $rest == *"$from"* ]]; then
		fault "$name: \"$from\" is not there exactly once in $file"
		return
	fi
	printf '%s\n' "${text%%"$from"*}$to$rest" >"$work/src/$file"
	[[ $file != *.h ]] || rm -f "$work"/out/*.o
	if ! "$root/pico/build.sh" rp2350 "$work/out" "$work/src" >"$work/log" 2>&1; then
		fault "$name cannot be built: $(tail -n 3 "$work/log")"
	elif timeout -k 1 60 "$TEST_MACHINE" --first "$work/out/dsm-rp2350.bin" "$scenario" >"$work/log" 2>&1; then
		fault "$name goes through $scenario"
	elif grep -q '^#' "$work/log"; then
		passed=$((passed + 1))
		printf 'ok %s: %s\n' "$name" "$(grep '^#' "$work/log" | tail -n 1 | sed 's/^# *//; s/not so: .*: fault: //')"
	else
		fault "$name ends the test in another way: $(tail -n 2 "$work/log")"
	fi
	cp "$root/$file" "$work/src/$file"
	[[ $file != *.h ]] || rm -f "$work"/out/*.o
}

fault() {
	failed=$((failed + 1))
	printf 'not ok %s\n' "$1"
}

rp=pico/port/rp2350
rm -rf "$work"
mkdir -p "$work/src/lib"
cp -r "$root/pico" "$work/src/"
cp -r "$root/lib/wire" "$work/src/lib/"

# the control: unchanged it goes through
if "$root/pico/build.sh" rp2350 "$work/out" "$work/src" >"$work/log" 2>&1 &&
	"$TEST_MACHINE" "$work/out/dsm-rp2350.bin" steady >"$work/log" 2>&1; then
	passed=$((passed + 1))
else
	fault "the unchanged firmware: $(tail -n 3 "$work/log")"
fi

variant 'ADC stays in reset' steady $rp/clocks.c '(RESET_ADC | RESET_DMA |' '(RESET_DMA |'
variant 'DMA stays in reset' steady $rp/clocks.c '(RESET_ADC | RESET_DMA |' '(RESET_ADC |'
variant 'SPI0 stays in reset' steady $rp/clocks.c 'RESET_SPI0 | RESET_TIMER0' 'RESET_TIMER0'
variant 'pads stay in reset' steady $rp/clocks.c 'RESET_IO_BANK0 | RESET_PADS_BANK0 |' 'RESET_IO_BANK0 |'
variant 'no clk_adc' steady $rp/clocks.c 'REG(CLK_ADC_CTRL) = CLK_ENABLE;' ''
variant 'no clk_peri' steady $rp/clocks.c 'REG(CLK_PERI_CTRL) = CLK_ENABLE;' ''
variant 'PLL before the crystal is stable' steady $rp/clocks.c 'wait_for(XOSC_STATUS, XOSC_STABLE);' ''
variant 'clk_sys before the PLL has locked' steady $rp/clocks.c 'wait_for(pll + PLL_CS, PLL_LOCK);' ''
variant 'VCO too fast' steady $rp/clocks.c 'pll_start(PLL_SYS, 125, 5, 2)' 'pll_start(PLL_SYS, 150, 6, 2)'
variant 'clk_sys too fast' steady $rp/clocks.c 'pll_start(PLL_SYS, 125, 5, 2)' 'pll_start(PLL_SYS, 125, 5, 1)'
variant 'wrong tick divider' steady $rp/clocks.c '= 12; /* section 8.5' '= 13; /* section 8.5'
variant 'watchdog resets nothing' steady $rp/clocks.c 'REG(PSM_WDSEL) = PSM_ALL & ~(PSM_ROSC | PSM_XOSC);' ''
variant 'watchdog not started' hangs $rp/start.c '	watchdog_start();' ''
variant 'pads stay isolated' steady $rp/pins.c 'CLR(PAD(number)) = PAD_ISO;' ''
variant 'input of an ADC pad on' steady $rp/pins.c 'FUNC_NULL, PAD_OD)' 'FUNC_NULL, PAD_OD | PAD_IE)'
variant 'no pull-ups at the buttons' steady $rp/pins.c 'FUNC_SIO, in | PAD_PUE)' 'FUNC_SIO, in)'
variant 'buttons the wrong way round' steady $rp/pins.c 'return ~REG(SIO_GPIO_IN)' 'return REG(SIO_GPIO_IN)'
variant 'wrong baud rate' fresh $rp/pins.c 'REG(UART_IBRD) = 81;' 'REG(UART_IBRD) = 8;'
variant 'narrow write to a register' fresh $rp/pins.c 'REG(UART_DR) = (uint8_t)c' '*(volatile uint8_t *)UART_DR = (uint8_t)c'
variant 'wrong ADC divider' steady $rp/adc.c 'period = 3 * tick_us' 'period = 6 * tick_us'
variant 'wrong channel order' steady $rp/adc.c '(from - channel) % state.channels' '(from + channel) % state.channels'
variant 'wrong DMA request' steady $rp/regs.h 'DMA_TREQ_ADC 48u' 'DMA_TREQ_ADC 49u'
variant 'DMA ends after its count' wraps $rp/adc.c 'DMA_TRIGGER_SELF | state.count' 'state.count'
variant 'goes on after an overrun' overrun $rp/adc.c "	stop();
	start();
	return true;" '	if (state.channels == 9)
		stop();
	REG(ADC_FCS) |= ADC_FCS_OVER;
	return true;'
variant 'round robin begins anywhere after an overrun' overrun $rp/adc.c '0u << ADC_CS_AINSEL' '(REG(ADC_CS) & 0xf000)'
variant 'conversion errors not marked' converter_fails $rp/adc.c 'ADC_FCS_DREQ_EN | ADC_FCS_ERR |' 'ADC_FCS_DREQ_EN |'
variant 'SPI too fast' steady $rp/net.c '2u << 8 | 7u' '0u << 8 | 7u'
variant 'SPI read before it is there' steady $rp/net.c 'if (REG(SPI_SR) & SPI_SR_RNE)' 'if (1)'
variant 'W5500 spoken to too early' steady $rp/net.c 'SETTLE_US 2000u' 'SETTLE_US 100u'
variant 'spins on SENDOK' arp_timeout pico/drv/w5500.c '	c->sending = true;
' '	while (!(get8(c, SOCKET, SN_IR) & SN_IR_SENDOK))
		;
	c->sending = true;
'
variant 'SEND while one is under way' arp_timeout pico/drv/w5500.c 'if (c->sending || free_bytes' 'if (free_bytes'
variant 'free size read once' torn_free_size pico/drv/w5500.c 'if (again == last)' 'if (again)
			return last;
		if (again == last)'
variant 'link not looked at' link_down pico/drv/w5500.c '	c->link = get8(c, COMMON, PHYCFGR) & PHYCFGR_LNK;
}

/* "Sn_TX_FSR"' '	c->link = true;
}

/* "Sn_TX_FSR"'
variant 'words of the W5500 the wrong way round' steady pico/drv/w5500.c '{ (uint8_t)(value >> 8), (uint8_t)value };' '{ (uint8_t)value, (uint8_t)(value >> 8) };'
variant 'flash written while it is mapped' steady $rp/flash.c '	leave();' ''
variant 'cache not flushed' steady $rp/flash.c 'HAL_FLASH_PAGE);
	flush();' 'HAL_FLASH_PAGE);'
variant 'store in the image' steady $rp/flash.c 'STORE 0xf0000u' 'STORE 0x00000u'
variant 'no IMAGE_DEF' steady $rp/start.c '0x10210142' '0x10200142'
variant 'epoch not stored' restarts pico/core/device.c 'd->hal.store_epoch(d->hal.context, d->epoch);' 'true;'
variant 'CRC of the journal not looked at' power_cuts pico/core/journal.c ' && get32(bytes + j->slot - 4) == pico_crc32(bytes, j->slot - 4u)' ''
variant 'bouncing counts as presses' buttons pico/core/buttons.c ' || now_us - b->since_us[i] < b->debounce_us' ''
variant 'dropped ticks not counted' tx_full pico/core/device.c 'd->dropped++;' 'd->dropped++, d->seq--;'

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
