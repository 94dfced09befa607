"""Writes the workbooks of this directory: pip install openpyxl xlsxwriter.

Two libraries that are not ours, so that the reader is held against what they
write: shared strings, inline strings, dates in several formats, merged cells,
a title above the header, a hidden sheet, formulas.
"""
import datetime as dt
import openpyxl
from openpyxl.styles import numbers
import xlsxwriter

HEAD = ["品名", "最低价", "发布日期", "时间", "市场", "条码", "备注"]
DAY = dt.datetime(2026, 1, 2)
AT = dt.datetime(2026, 1, 2, 8, 30, 15)

b = openpyxl.Workbook()
hidden = b.active
hidden.title = "说明"
hidden.sheet_state = "hidden"
hidden.append(["不读"])
s = b.create_sheet("行情")
s.append(["川渝测试市场行情表"])
s.merge_cells("A1:G1")
s.append([])
s.append(["品\n名"] + HEAD[1:])
s.append(["红香酥梨", 17.1, DAY, AT, "测试市场", "6901234567892", "=1+1"])
s.append(["库尔勒香梨", 0.1 + 0.2, DAY, AT, None, "6902083881405", "含<标记>&引号\""])
s.append([])
s.append(["晚秋黄梨", 3, DAY, AT, None, "6921168509256", "两\n行"])
s.merge_cells("E4:E7")
for row in (4, 5, 7):
    s.cell(row, 3).number_format = "yyyy年m月d日"
    s.cell(row, 4).number_format = numbers.FORMAT_DATE_DATETIME
b.save("openpyxl.xlsx")

b = xlsxwriter.Workbook("xlsxwriter.xlsx", {"date_1904": True})
s = b.add_worksheet("行情")
day, at = b.add_format({"num_format": 14}), b.add_format({"num_format": 'yyyy"年"mm/dd hh:mm:ss'})
price = b.add_format({"num_format": '0.00"元/公斤"'})
s.write_row(0, 0, HEAD)
s.write_row(1, 0, ["红香酥梨", 17.1])
s.write_number(1, 1, 17.1, price)
s.write_datetime(1, 2, DAY, day)
s.write_datetime(1, 3, AT, at)
s.merge_range("E2:E3", "测试市场")
s.write_string(1, 5, "6901234567892")
s.write_formula(1, 6, "=1+1", None, 2)
s.write_rich_string(2, 0, "库尔勒", b.add_format({"bold": True}), "香梨")
s.write_number(2, 1, 0.1 + 0.2)
s.write_datetime(2, 2, DAY, day)
s.write_datetime(2, 3, AT, at)
s.write_number(2, 5, 6902083881405)
s.write_boolean(2, 6, True)
b.close()
