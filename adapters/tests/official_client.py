"""The official Python client against `daybook simulate`, unpatched: REST and KiteTicker.

Not part of `cargo test`, which needs neither Python nor packages. To run it:

    daybook simulate --journal m5 --date 2025-06-10 --start 10:00 --port 9010 --fresh
    pip install kiteconnect==5.2.2
    TZ=Asia/Kolkata python adapters/tests/official_client.py http://127.0.0.1:9010

The journal holds RELIANCE, TCS and IDEA around that date. Exit code 1 when a check failed.
"""
import sys, time, threading, json, datetime, urllib.request, urllib.parse
import requests
from kiteconnect import KiteConnect, KiteTicker, exceptions as ex
root = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9010"
ok = 0
def check(name, cond, extra=""):
    global ok
    print(("ok   " if cond else "FAIL ") + name, extra if not cond or extra else "")
    ok += bool(cond)
    if not cond: check.failed.append(name)
check.failed = []
def refused(name, kind, code, f):
    try:
        f(); check(name, False, "not refused")
    except Exception as e:
        check(name, type(e).__name__ == kind and getattr(e, "code", None) == code, f"{type(e).__name__} {getattr(e,'code',None)} {e}")
def pace(): time.sleep(0.12)
kite = KiteConnect(api_key="sim_api_key", root=root)
r = requests.get(root + "/connect/login?v=3&api_key=sim_api_key&redirect_params=" + urllib.parse.quote("a=1&b=2"), allow_redirects=False)
q = urllib.parse.parse_qs(urllib.parse.urlparse(r.headers["location"]).query)
check("login redirect", r.status_code == 302 and q["status"] == ["success"] and q["action"] == ["login"] and q["a"] == ["1"], r.headers["location"])
refused("wrong secret", "TokenException", 403, lambda: kite.generate_session(q["request_token"][0], "wrong"))
s = kite.generate_session(q["request_token"][0], "sim_api_secret")
check("session", s["user_id"] and len(s["access_token"]) == 32 and isinstance(s["login_time"], datetime.datetime))
refused("request token once", "TokenException", 403, lambda: KiteConnect(api_key="sim_api_key", root=root).generate_session(q["request_token"][0], "sim_api_secret"))
refused("bad token", "TokenException", 403, lambda: KiteConnect(api_key="sim_api_key", access_token="x", root=root).profile())
check("profile", kite.profile()["broker"] == "ZERODHA")
m = kite.margins(); check("margins", m["equity"]["net"] == 1000000)
check("margins segment", kite.margins("equity")["available"]["cash"] == 1000000)
ins = kite.instruments("NSE"); by = {i["tradingsymbol"]: i for i in ins}
check("instruments", by["RELIANCE"]["instrument_token"] == 738561 and by["NIFTY 50"]["segment"] == "INDICES", by["RELIANCE"])
check("instruments all", len(kite.instruments()) == len(ins)); check("instruments BSE", kite.instruments("BSE") == [])
qt = kite.quote("NSE:RELIANCE", "NSE:NIFTY 50", "NSE:NOSUCH")
check("quote", set(qt) == {"NSE:RELIANCE", "NSE:NIFTY 50"} and len(qt["NSE:RELIANCE"]["depth"]["buy"]) == 5, json.dumps(qt["NSE:RELIANCE"], default=str)[:400])
refused("429", "NetworkException", 429, lambda: [kite.ltp("NSE:TCS") for _ in range(5)])
time.sleep(1.05)
o = kite.ohlc("NSE:RELIANCE"); check("ohlc", o["NSE:RELIANCE"]["ohlc"]["close"] > 0); time.sleep(1.05)
l = kite.ltp(["NSE:RELIANCE", "NSE:TCS"]); check("ltp", len(l) == 2)
ltp = l["NSE:RELIANCE"]["last_price"]
h = kite.historical_data(738561, "2025-06-09 09:15:00", "2025-06-09 15:30:00", "minute", oi=True); time.sleep(.4)
h5 = kite.historical_data(738561, datetime.datetime(2025,6,9), datetime.datetime(2025,6,10), "5minute"); time.sleep(.4)
d = kite.historical_data(738561, "2025-05-01", "2025-06-09", "day"); time.sleep(.4)
hn = kite.historical_data(256265, "2025-06-09", "2025-06-10", "60minute"); time.sleep(.4)
check("history", len(h) == 375 and len(h5) >= 75 and "oi" in h[0] and h[0]["open"] == h5[0]["open"], f"{len(h)} {len(h5)} {len(d)} {len(hn)} {h5[0]}")
g = {}
for c in h:
    k = c["date"].replace(minute=c["date"].minute // 5 * 5)
    e = g.setdefault(k, [c["open"], c["high"], c["low"], c["close"], 0]); e[1] = max(e[1], c["high"]); e[2] = min(e[2], c["low"]); e[3] = c["close"]; e[4] += c["volume"]
check("minutes make the 5 minutes", all(g[c["date"]] == [c["open"], c["high"], c["low"], c["close"], c["volume"]] for c in h5 if c["date"] in g))
refused("range", "InputException", 400, lambda: kite.historical_data(738561, "2025-01-01", "2025-06-09", "minute")); time.sleep(.4)
refused("interval", "InputException", 400, lambda: kite.historical_data(738561, "2025-06-01", "2025-06-09", "7minute")); time.sleep(.4)
refused("token", "InputException", 400, lambda: kite.historical_data(1, "2025-06-01", "2025-06-09", "day"))
# ticker
ticks, updates, texts = [], [], []
kws = KiteTicker("sim_api_key", s["access_token"], root=root.replace("http", "ws"))
opened = threading.Event()
def on_connect(ws, resp):
    ws.subscribe([738561, 256265, 2953217]); ws.set_mode(ws.MODE_FULL, [738561, 256265]); opened.set()
kws.on_connect = on_connect
kws.on_ticks = lambda ws, t: ticks.extend(t)
kws.on_order_update = lambda ws, d: updates.append(d)
kws.on_error = lambda ws, c, r: texts.append((c, r))
kws.connect(threaded=True); check("ticker opened", opened.wait(10)); time.sleep(1.0)
full = [t for t in ticks if t["instrument_token"] == 738561 and t["mode"] == "full"]
check("full ticks at once", full and len(full[-1]["depth"]["buy"]) == 5, full[-1] if full else ticks[:1])
check("index tick", any(t["instrument_token"] == 256265 and not t["tradable"] for t in ticks))
check("quote mode", any(t["instrument_token"] == 2953217 and t["mode"] == "quote" for t in ticks))
# orders
P = dict(variety="regular", exchange="NSE", tradingsymbol="RELIANCE", transaction_type="BUY", quantity=10, product="MIS")
tick = by["RELIANCE"]["tick_size"]
rnd = lambda p: round(round(p / tick) * tick, 2)
refused("no protection", "InputException", 400, lambda: kite.place_order(order_type="MARKET", **P)); pace()
refused("off tick", "InputException", 400, lambda: kite.place_order(order_type="LIMIT", price=ltp + 0.013, **P)); pace()
refused("unknown symbol", "InputException", 400, lambda: kite.place_order(order_type="LIMIT", price=10, **{**P, "tradingsymbol": "NOSUCH"})); pace()
try:
    kite.place_order(order_type="LIMIT", price=rnd(ltp), **{**P, "quantity": 90000}); check("margin", False)
except ex.GeneralException as e: check("margin", e.code == 400 and "Insufficient funds" in str(e), str(e))
pace()
oid = kite.place_order(order_type="LIMIT", price=rnd(ltp * 0.97), tag="abc123", **P); pace()
hist = kite.order_history(oid); check("open", hist[-1]["status"] == "OPEN" and hist[0]["status"] == "PUT ORDER REQ RECEIVED" and hist[-1]["tag"] == "abc123", [x["status"] for x in hist]); pace()
kite.modify_order("regular", oid, price=rnd(ltp * 0.96), quantity=12, order_type="LIMIT"); pace()
check("modified", kite.order_history(oid)[-1]["quantity"] == 12); pace()
kite.cancel_order("regular", oid); pace()
check("cancelled", kite.order_history(oid)[-1]["status"] == "CANCELLED"); pace()
refused("cancel twice", "OrderException", 400, lambda: kite.cancel_order("regular", oid)); pace()
oid = kite.place_order(order_type="MARKET", market_protection=2, **P); time.sleep(.3)
row = [x for x in kite.orders() if x["order_id"] == oid][0]
check("market filled", row["status"] == "COMPLETE" and row["order_type"] == "LIMIT" and "mktp:2.00" in row["tags"], row); pace()
tr = kite.order_trades(oid); check("order trades", sum(t["quantity"] for t in tr) == 10, tr[:1]); pace()
check("trades", len(kite.trades()) >= len(tr)); pace()
pos = kite.positions(); check("positions", pos["net"][0]["quantity"] == 10 and pos["day"][0]["day_buy_quantity"] == 10, pos["net"][0]); pace()
check("pnl", abs(pos["net"][0]["pnl"] - (10 * pos["net"][0]["last_price"] - pos["net"][0]["buy_value"])) < 1e-6)
sl = kite.place_order(order_type="SL", price=rnd(ltp * 0.95), trigger_price=rnd(ltp * 0.96), **{**P, "transaction_type": "SELL"}); pace()
check("stop pending", kite.order_history(sl)[-1]["status"] == "TRIGGER PENDING"); pace()
kite.cancel_order("regular", sl); pace()
check("convert", kite.convert_position("NSE", "RELIANCE", "BUY", "day", 4, "MIS", "CNC") is True); pace()
net = {p["product"]: p["quantity"] for p in kite.positions()["net"]}; check("converted", net == {"MIS": 6, "CNC": 4}, net); pace()
gid = kite.place_gtt("single", "RELIANCE", "NSE", [rnd(ltp * 0.9)], ltp, [dict(transaction_type="BUY", quantity=1, order_type="LIMIT", product="CNC", price=rnd(ltp * 0.9))])["trigger_id"]; pace()
g2 = kite.place_gtt("two-leg", "RELIANCE", "NSE", [rnd(ltp * 0.9), rnd(ltp * 1.1)], ltp, [dict(transaction_type="SELL", quantity=1, order_type="LIMIT", product="CNC", price=rnd(ltp * 0.9)), dict(transaction_type="SELL", quantity=1, order_type="LIMIT", product="CNC", price=rnd(ltp * 1.1))])["trigger_id"]; pace()
check("gtt list", {x["id"] for x in kite.get_gtts()} >= {gid, g2}); pace()
kite.modify_gtt(gid, "single", "RELIANCE", "NSE", [rnd(ltp * 0.91)], ltp, [dict(transaction_type="BUY", quantity=2, order_type="LIMIT", product="CNC", price=rnd(ltp * 0.9))]); pace()
check("gtt modified", kite.get_gtt(gid)["orders"][0]["quantity"] == 2); pace()
kite.delete_gtt(gid); pace(); check("gtt deleted", kite.get_gtt(gid)["status"] == "deleted"); pace()
refused("gtt too close", "InputException", 400, lambda: kite.place_gtt("single", "RELIANCE", "NSE", [rnd(ltp)], ltp, [dict(transaction_type="BUY", quantity=1, order_type="LIMIT", product="CNC", price=rnd(ltp))])); pace()
item = dict(exchange="NSE", tradingsymbol="RELIANCE", transaction_type="BUY", variety="regular", product="MIS", order_type="LIMIT", quantity=100, price=1300, trigger_price=0)
om = kite.order_margins([item]); check("order margins", om[0]["total"] == 26000 and om[0]["charges"]["brokerage"] == 20, om[0]); pace()
bm = kite.basket_order_margins([item, {**item, "transaction_type": "SELL"}]); check("basket", bm["initial"]["total"] == 52000 and bm["final"]["total"] < 52000, bm["final"]["total"]); pace()
cn = kite.get_virtual_contract_note([{**item, "order_id": "1", "average_price": 1300}]); check("contract note", cn[0]["charges"]["total"] > 0, cn[0]["charges"]); pace()
ice = kite.place_order(order_type="LIMIT", price=rnd(ltp * 0.97), iceberg_legs=3, iceberg_quantity=4, **{**P, "variety": "iceberg"}); pace()
row = kite.order_history(ice)[-1]; check("iceberg", row["quantity"] == 4 and row["meta"]["iceberg"]["legs"] == 3, row["meta"]); pace(); kite.cancel_order("iceberg", ice); pace()
co = kite.place_order(order_type="MARKET", market_protection=-1, trigger_price=rnd(ltp * 0.98), **{**P, "variety": "co"}); time.sleep(.3)
child = [x for x in kite.orders() if x["parent_order_id"] == co]; check("cover second leg", child and child[0]["status"] == "TRIGGER PENDING", child); pace()
kite.exit_order("co", child[0]["order_id"], parent_order_id=co); time.sleep(.3)
check("cover exit", kite.order_history(child[0]["order_id"])[-1]["status"] in ("COMPLETE", "OPEN")); pace()
sl = kite.place_autoslice_order(order_type="LIMIT", price=rnd(ltp * 0.97), **{**P, "quantity": 5})
check("autoslice small", "order_id" in sl, sl); pace(); kite.cancel_order("regular", sl["order_id"]); pace()
idea = kite.ltp("NSE:IDEA")["NSE:IDEA"]["last_price"]; sl = kite.place_autoslice_order(order_type="LIMIT", **{**P, "tradingsymbol": "IDEA", "quantity": 250000, "price": round(idea * 0.95, 2)}); pace()
check("autoslice", len(sl["children"]) == 3, sl); pace()
rows = [x for x in kite.orders() if x["tags"] and "autoslice" in x["tags"]]; check("slices", [x["quantity"] for x in rows] == [100000, 100000, 50000]); pace()
for x in rows: kite.cancel_order("regular", x["order_id"]); pace()
refused("amo in hours", "OrderException", 400, lambda: kite.place_order(order_type="LIMIT", price=rnd(ltp), **{**P, "variety": "amo"})); pace()
check("holdings", kite.holdings() == []); pace()
check("auction instruments", kite.get_auction_instruments() == []); pace()
check("trigger range", kite.trigger_range("BUY", "NSE:RELIANCE")["NSE:RELIANCE"]["instrument_token"] == 738561)
time.sleep(1)
sts = [u["status"] for u in updates]; check("order messages", "COMPLETE" in sts and "CANCELLED" in sts and "OPEN" in sts, sts)
check("ticks move", len({t.get("exchange_timestamp") for t in ticks if t["instrument_token"] == 738561}) > 1, len(ticks))
kws.close(); time.sleep(0.3)
expired = []
kite.set_session_expiry_hook(lambda: expired.append(1))
kite.invalidate_access_token(); pace()
refused("after logout", "TokenException", 403, lambda: kite.profile())
check("hook", expired == [1])
print(ok, "ok;", check.failed, "failed")
sys.exit(bool(check.failed))
